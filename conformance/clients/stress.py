"""Many clients at once while garbage is collected without any grace: nothing that was acknowledged may be missing.

python -m conformance.clients.stress [--syncs 20]

Twenty aws-cli syncs, rclone with 16 transfers and restic backups, each in a bucket of its own but with content that
they share, so that what one removes another is just naming. Afterwards every byte is compared, and ``nexus fsck
--rehash`` must find nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from conformance.clients.files import MIB, digest, digests, noise, plant
from conformance.clients.registry import clients
from conformance.clients.stand import REGION, Stand
from conformance.clients.tools import Tool
from conformance.gateway import Gateway, running_gateway

ROUNDS = 3


def sync(stand: Stand, aws: Tool, tree: Path) -> None:
    """Up, away, up again: what is removed is garbage while others store the same bytes."""
    stand.make_bucket()
    for number in range(ROUNDS):
        stand.run(aws, "s3", "sync", "--quiet", tree, f"s3://{stand.bucket}/tree", seconds=900)
        if number < ROUNDS - 1:
            stand.run(aws, "s3", "rm", "--quiet", "--recursive", f"s3://{stand.bucket}", seconds=900)


def copy(stand: Stand, rclone: Tool, tree: Path) -> None:
    settings = {
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_GW_TYPE": "s3",
        "RCLONE_CONFIG_GW_PROVIDER": "Other",
        "RCLONE_CONFIG_GW_ENV_AUTH": "true",
        "RCLONE_CONFIG_GW_ENDPOINT": stand.url,
        "RCLONE_CONFIG_GW_REGION": REGION,
    }
    at = f"gw:{stand.bucket}"
    words = ("sync", "--transfers", "16", "--checkers", "32", tree, f"{at}/tree")
    for number in range(ROUNDS * 3):
        stand.run(rclone, *words, environment=settings, seconds=900)
        if number < ROUNDS * 3 - 1:
            stand.run(rclone, "delete", at, environment=settings, seconds=900)
    stand.run(rclone, "check", "--download", tree, f"{at}/tree", environment=settings, seconds=900)


def back_up(stand: Stand, restic: Tool, tree: Path) -> None:
    settings = {
        "RESTIC_REPOSITORY": f"s3:{stand.url}/{stand.bucket}/backups",
        "RESTIC_PASSWORD": "correct horse",
        "RESTIC_CACHE_DIR": str(stand.folder / "cache"),
    }
    stand.run(restic, "init", environment=settings)
    for number in range(ROUNDS):
        (stand.folder / "changing").write_bytes(noise(5 * MIB, number))
        stand.run(restic, "backup", "--quiet", tree, stand.folder / "changing", environment=settings, seconds=900)
        stand.run(restic, "forget", "--keep-last", "1", "--prune", "--quiet", environment=settings, seconds=900)
    stand.run(restic, "check", "--read-data", environment=settings, seconds=900)


def collect(gateway: Gateway, done: threading.Event) -> int:
    """Collect garbage again and again; how often."""
    times = 0
    while not done.is_set():
        gateway.nexus("gc", "--grace", "0")
        times += 1
        time.sleep(0.2)
    return times


def holds_tree(stand: Stand, expected: dict[str, str]) -> None:
    s3 = stand.s3
    assert stand.keys("tree/") == sorted((f"tree/{name}" for name in expected), key=str.encode)
    for name, sha256 in expected.items():
        body = s3.get_object(Bucket=stand.bucket, Key=f"tree/{name}")["Body"].read()
        assert digest(body) == sha256, f"{stand.bucket}/tree/{name} holds other bytes"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.clients.stress", description=__doc__.splitlines()[0])
    parser.add_argument("--syncs", type=int, default=20, help="how many aws-cli processes at once")
    options = parser.parse_args()
    aws, rclone, restic = (each.source.get() for each in clients(["aws-cli-1", "rclone", "restic"]))
    with tempfile.TemporaryDirectory(prefix="nexus-stress-") as folder, running_gateway() as gateway:
        tree, done = Path(folder) / "tree", threading.Event()
        plant(tree)
        (tree / "big").write_bytes(noise(12 * MIB))
        plant(tree / "more", (f"{number}/file" for number in range(100)))
        expected = digests(tree)

        def stand(name: str) -> Stand:
            place = Path(folder) / name
            place.mkdir()
            return Stand(gateway.port, gateway.admin.access_key, gateway.admin.secret_key, place)

        work: list[tuple[Callable[[Stand, Tool, Path], None], Stand, Tool]]
        work = [(sync, stand(f"sync{number}"), aws) for number in range(options.syncs)]
        work += [(copy, stand("rclone"), rclone), (back_up, stand("restic"), restic)]
        start = time.monotonic()
        with ThreadPoolExecutor(len(work) + 1) as pool:
            collector = pool.submit(collect, gateway, done)
            try:
                for each in [pool.submit(job, place, tool, tree) for job, place, tool in work]:
                    each.result()
            finally:
                done.set()
            times = collector.result()
        print(f"{len(work)} clients in {time.monotonic() - start:.0f} s, garbage collected {times} times meanwhile")
        for job, place, _ in work:
            if job is not back_up:
                holds_tree(place, expected)
        print(f"{len(work) - 1} trees of {len(expected)} files compared: all bytes are there")
        environment = {**os.environ, "NEXUS_URL": gateway.url, "NEXUS_API_KEY": gateway.api_key}
        for command in (["gc", "--grace", "0"], ["fsck", "--rehash"]):
            subprocess.run([sys.executable, "-m", "gateway", *command], env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
