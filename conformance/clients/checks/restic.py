"""restic, a backup program on the minio client for Go."""

from __future__ import annotations

import json

from conformance.clients.files import BIG, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Go, Tool


@client("restic", Go("github.com/restic/restic/cmd/restic", "v0.18.1"))
def restic(stand: Stand, tool: Tool) -> None:
    """init, three backups of a changing tree, check --read-data, restore of the first and the last, forget --prune,
    unlock, check again."""
    settings = {
        "RESTIC_REPOSITORY": f"s3:{stand.url}/{stand.bucket}/backups",
        "RESTIC_PASSWORD": "correct horse",
        "RESTIC_CACHE_DIR": str(stand.folder / "cache"),
    }
    source = stand.folder / "source"
    states = []

    def run(*arguments: object) -> str:
        return stand.run(tool, *(str(each) for each in arguments), environment=settings)

    run("init")
    for number in range(3):
        plant(source / f"round {number}")
        (source / "big").write_bytes(noise(BIG, number))
        states.append(digests(source))
        run("backup", "--quiet", "--host", "here", source)
    run("check", "--read-data")
    snapshots = json.loads(run("snapshots", "--json"))
    assert len(snapshots) == 3
    for number in (0, 2):
        target = stand.folder / f"restored{number}"
        run("restore", snapshots[number]["short_id"], "--target", target)
        assert digests(target / str(source).lstrip("/")) == states[number]
    run("forget", "--keep-last", "1", "--prune")
    run("unlock", "--remove-all")
    run("check", "--read-data")
    assert len(json.loads(run("snapshots", "--json"))) == 1
