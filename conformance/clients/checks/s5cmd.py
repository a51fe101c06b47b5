"""s5cmd, a parallel client in Go on the first AWS SDK for that language."""

from __future__ import annotations

from conformance.clients.files import BIG, SPECIAL_KEYS, digest, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Shared, Tool


@client("s5cmd", Shared("s5cmd", "s5cmd", ("version",)), fast=True)
def s5cmd(stand: Stand, tool: Tool) -> None:
    """mb, cp of a multipart file both ways, cp between keys by wildcard, special keys, presign, sync of a tree both
    ways with --delete, a file of commands, rm by wildcard, rb."""
    at, big = f"s3://{stand.bucket}", stand.folder / "big"

    def run(*arguments: object) -> str:
        return stand.run(tool, "--endpoint-url", stand.url, *(str(each) for each in arguments))

    run("mb", at)
    big.write_bytes(noise(BIG))
    run("cp", "--part-size", "5", "--metadata", "colour=blue", big, f"{at}/big")
    run("cp", "--part-size", "5", "--concurrency", "4", f"{at}/big", stand.folder / "back")
    assert (stand.folder / "back").read_bytes() == noise(BIG)
    assert stand.s3.head_object(Bucket=stand.bucket, Key="big")["Metadata"] == {"colour": "blue"}
    small = stand.folder / "small"
    for number, key in enumerate(SPECIAL_KEYS):
        if "?" in key:
            continue  # a wildcard to s5cmd
        small.write_bytes(noise(10 + number, number))
        run("cp", small, f"{at}/special/{key}")
        stand.holds(f"special/{key}", digest(noise(10 + number, number)))
        assert stand.fetch(run("presign", f"{at}/special/{key}").strip()) == small.read_bytes()
    run("cp", f"{at}/special/*", f"{at}/copied/")
    assert [key.removeprefix("copied/") for key in stand.keys("copied/")] == [
        key.removeprefix("special/") for key in stand.keys("special/")
    ]
    tree, down = stand.folder / "tree", stand.folder / "down"
    expected = plant(tree)
    run("sync", f"{tree}/", f"{at}/tree/")
    run("sync", f"{at}/tree/*", f"{down}/")
    assert digests(down) == expected
    (tree / "readme.txt").unlink()
    run("sync", "--delete", f"{tree}/", f"{at}/tree/")
    assert len(stand.keys("tree/")) == len(expected) - 1
    script = stand.folder / "script"
    script.write_text("".join(f"cp {small} {at}/batch/{number}\n" for number in range(50)))
    run("run", script)
    assert len(run("ls", f"{at}/batch/").splitlines()) == 50
    run("rm", f"{at}/*")
    run("rb", at)
