"""s3cmd, with a configuration file as its users have it: virtual-hosted style."""

from __future__ import annotations

from conformance.clients.files import BIG, SPECIAL_KEYS, digest, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import RESOLVER, Stand
from conformance.clients.tools import Shared, Tool


@client("s3cmd", Shared("s3cmd", "s3cmd"), fast=True)
def s3cmd(stand: Stand, tool: Tool) -> None:
    """Virtual-hosted style: mb, put of a multipart file and get, resumed get, cp, mv, modify, signurl, special keys,
    sync of a tree both ways, du, rb --recursive."""
    configuration = stand.folder / "s3cfg"
    configuration.write_text(
        f"[default]\naccess_key = {stand.access_key}\nsecret_key = {stand.secret_key}\n"
        f"host_base = localhost:{stand.port}\nhost_bucket = %(bucket)s.localhost:{stand.port}\n"
        "use_https = False\nsignature_v2 = False\nmultipart_chunk_size_mb = 5\n"
    )
    at, big, back = f"s3://{stand.bucket}", stand.folder / "big", stand.folder / "back"

    resolver = {"PYTHONPATH": str(RESOLVER)}

    def run(*arguments: object) -> str:
        words = ("--config", str(configuration), "--no-progress", *(str(each) for each in arguments))
        return stand.run(tool, *words, environment=resolver)

    run("mb", at)
    big.write_bytes(noise(BIG))
    run("put", "--add-header=x-amz-meta-colour:blue", big, f"{at}/big")
    stand.holds("big", digest(noise(BIG)))
    back.write_bytes(noise(BIG)[:7_000_000])
    run("get", "--continue", f"{at}/big", back)
    assert back.read_bytes() == noise(BIG), "a get that went on where another stopped"
    run("cp", f"{at}/big", f"{at}/copy")
    run("mv", f"{at}/copy", f"{at}/moved")
    run("modify", "--add-header=x-amz-meta-shape:round", f"{at}/moved")
    assert stand.s3.head_object(Bucket=stand.bucket, Key="moved")["Metadata"].get("shape") == "round"
    assert stand.fetch(run("signurl", f"{at}/moved", "+60").strip()) == noise(BIG)
    small = stand.folder / "small"
    for number, key in enumerate(SPECIAL_KEYS):
        small.write_bytes(noise(10 + number, number))
        run("put", small, f"{at}/special/{key}")
        stand.holds(f"special/{key}", digest(noise(10 + number, number)))
    expected = plant(stand.folder / "tree")
    run("sync", f"{stand.folder}/tree/", f"{at}/tree/")
    (stand.folder / "down").mkdir()
    run("sync", f"{at}/tree/", f"{stand.folder}/down/")
    assert digests(stand.folder / "down") == expected
    size = sum(path.stat().st_size for path in (stand.folder / "tree").rglob("*") if path.is_file())
    assert run("du", f"{at}/tree/").split()[:2] == [str(size), str(len(expected))]
    run("del", "--recursive", "--force", f"{at}/tree/")
    assert not stand.keys("tree/")
    run("rb", "--recursive", at)
