"""A full disk: it is filled, squeezed, and given room again, and the gateway on it goes on all along.

    python -m reliability.disk_full --mib 96 --seed 1

The data directory is a small tmpfs in a namespace of its own; where that cannot be had, a preloaded library pretends
that the disk is full. It is filled until writes are refused (507 ``InsufficientCapacity``). Then reads, lists and
deletes must go on. Then somebody else takes all that is left: writes, and deletes if need be, are refused clearly, and
reads and lists still go on. Once there is room, what is deleted is collected and writes come back without a restart;
nothing that was acknowledged is lost, then or after one.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from reliability.bodies import body_of
from reliability.inspection import judge, look
from reliability.s3 import S3
from reliability.small_disks import SmallDisk, small_disk
from reliability.workload import PLAIN, SETTINGS, set_up
from reliability.world import Delete, Effect, Put, World, held
from tests.e2e.harness import Server
from tests.e2e.rpc import Rpc

FULL = "507 InsufficientCapacity"
SIZES = (4096, 60_000, 300_000, 1_500_000)
ENOUGH = 12
"""Refusals in a row by which the disk counts as full."""


@dataclass
class Outcome:
    disk: str = ""
    stored: int = 0
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    """What was answered, by phase and method."""
    findings: int = 0

    @property
    def good(self) -> bool:
        return not self.findings and any(FULL in told for told in self.answers.values())

    def __str__(self) -> str:
        return (
            f"{'PASSED' if self.good else 'FAILED'}: {self.disk}, {self.stored} objects acknowledged, "
            f"{sum(told[FULL] for told in self.answers.values())} writes refused with {FULL}, {self.findings} findings"
        )


class Filling:
    """One disk, filled and freed."""

    def __init__(self, folder: Path, mib: int, seed: int, tell: Callable[[str], None]) -> None:
        self._server = Server(folder)
        self._disk: SmallDisk = small_disk(self._server.data_dir, mib)
        self._server.prefix = self._disk.prefix
        self._server.environment = {**SETTINGS, "NEXUS_GC_INTERVAL": "3600", **self._disk.environment}
        self._random = random.Random(seed)
        self._tell = tell
        self._world = World()
        self._made = self._written = 0
        self.outcome = Outcome(self._disk.name)

    def run(self) -> Outcome:
        try:
            self._server.start()
            with closing(self._s3()) as s3, closing(Rpc(self._server)) as rpc:
                set_up(s3)
                self._until_full(s3)
                self._check("full", s3)
                self._delete("full", s3, 5, must=True)
                rpc("gc", grace_seconds=0)
                self._disk.squeeze()
                for _ in range(ENOUGH):
                    self._put("squeezed", s3)
                    self._overwrite("squeezed", s3)
                self._delete("squeezed", s3, 5, must=False)
                self._check("squeezed", s3)
                self._disk.release()
                self._delete("released", s3, len(self._world.objects) // 2, must=True)
                rpc("gc", grace_seconds=0)
                for _ in range(ENOUGH):
                    if not self._put("freed", s3):
                        self._find("a write is refused although there is room")
                self._check("freed", s3)
                self._clean(rpc)
            self._server.kill()
            self._server.start()
            with closing(self._s3()) as s3, closing(Rpc(self._server)) as rpc:
                self._check("restarted", s3)
                self._clean(rpc)
        finally:
            self._server.kill()
            self._disk.close()
        return self.outcome

    def _s3(self) -> S3:
        return S3(self._server.port, self._server.admin.access_key, self._server.admin.secret_key)

    def _find(self, finding: str) -> None:
        self.outcome.findings += 1
        self._tell(finding)

    # -- writing

    def _until_full(self, s3: S3) -> None:
        refused = 0
        while refused < ENOUGH:
            refused = 0 if self._put("filling", s3) else refused + 1
            self._disk.fill(self._written)

    def _put(self, phase: str, s3: S3, key: str = "") -> bool:
        self._made += 1
        body = body_of(f"{self._made} {self._random.random()}", self._random.choice(SIZES))
        key = key or f"c/{self._made}"
        if not self._do(phase, s3, "PUT", key, body, Put(key, held(body))):
            return False
        self._written += len(body)
        self.outcome.stored += 1
        return True

    def _overwrite(self, phase: str, s3: S3) -> None:
        self._put(phase, s3, self._random.choice(sorted(self._world.objects)))

    def _delete(self, phase: str, s3: S3, count: int, *, must: bool) -> None:
        for key in self._random.sample(sorted(self._world.objects), min(count, len(self._world.objects))):
            if not self._do(phase, s3, "DELETE", key, b"", Delete((key,))) and must:
                self._find(f"{phase}: a delete is refused")

    def _do(self, phase: str, s3: S3, method: str, key: str, body: bytes, effect: Effect) -> bool:
        """Ask for a change; refusals are to be clear, and change nothing."""
        answer = s3.call(method, f"/{PLAIN}/{key}", body=body)
        self.outcome.answers.setdefault(f"{phase} {method}", Counter())[str(answer)] += 1
        if answer.ok:
            self._world = self._world.after(effect)
        elif str(answer) != FULL:
            self._find(f"{phase}: {method} {key}: {answer}")
        return answer.ok

    # -- checking

    def _check(self, phase: str, s3: S3) -> None:
        """Everything is listed and read as it was acknowledged."""
        judged = judge(look(s3), {"c": (self._world, None)})
        for finding in (*judged.lost, *judged.torn):
            self._find(f"{phase}: {finding}")

    def _clean(self, rpc: Rpc) -> None:
        rpc("gc", grace_seconds=0)
        if (report := rpc("fsck", rehash=True))["exit_code"]:
            self._find(f"fsck: {report['findings'][:3]}")


def run(folder: Path, mib: int, seed: int, tell: Callable[[str], None] = print) -> Outcome:
    return Filling(folder, mib, seed, tell).run()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reliability.disk_full",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--mib", type=int, default=96)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-disk-full-") as folder:
        outcome = run(Path(folder), chosen.mib, chosen.seed, lambda line: print(line, flush=True))
    for phase, answers in outcome.answers.items():
        print(f"{phase:16} {', '.join(f'{count} x {answer}' for answer, count in answers.most_common())}")
    print(outcome)
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
