"""A failing disk: file calls of a gateway under load fail, and it must neither lose, nor tear, nor stop.

    python -m reliability.io_errors --rounds 30 --seed 1

A preloaded library (built by ``cc``) makes writes, syncs, reads and renames of the catalog, the pack and the blobs'
files fail (EIO, ENOSPC), or be short, at random moments, once or for a while, under the mixed load of the kill rounds.
What is refused for it (500, 503, 507) must have changed nothing; short writes must be gone on with unseen. When the
disk is well again, so is the gateway, without a restart. Every other round it is killed while its syncs fail, and
started again: still nothing may be lost, and nothing may come back that was refused.
"""

from __future__ import annotations

import argparse
import errno
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reliability.crash import under_load
from reliability.faults import Call, Faults
from reliability.inspection import adopt, judge, look
from reliability.s3 import S3
from reliability.workload import EXCUSES, PLAIN, SETTINGS, clients, set_up
from tests.e2e.harness import Server
from tests.e2e.rpc import Rpc

CLIENTS = 4
REFUSALS = EXCUSES | {"500 InternalError", "503 ServiceUnavailable", "507 InsufficientCapacity"}
WAIT_SECONDS = 0.02
"""After a refusal, so that a disk that fails for long does not fill the time with refusals."""


@dataclass(frozen=True)
class Fault:
    calls: Call
    part: str
    error: int

    def __str__(self) -> str:
        told = errno.errorcode[self.error] if self.error else "short"
        return f"{self.calls.name} {told} {self.part}"


PLACES = ("catalog.db", "catalog.db-wal", "packs.db", "packs.db-wal", "store/staging/")
FAULTS = (
    *(Fault(Call.WRITE, place, error) for place in PLACES for error in (errno.EIO, errno.ENOSPC, 0)),
    *(Fault(Call.SYNC, place, errno.EIO) for place in (*PLACES, "/cas/", "store/cas")),
    *(Fault(Call.READ, place, errno.EIO) for place in (*PLACES[:4], "/cas/")),
    Fault(Call.RENAME, "store/staging/", errno.EIO),
    Fault(Call.WRITE, "/data/", errno.ENOSPC),
    Fault(Call.SYNC, "/data/", errno.EIO),
)


@dataclass
class Outcome:
    rounds: int = 0
    acknowledged: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """File calls that failed, by fault."""
    findings: int = 0

    @property
    def good(self) -> bool:
        return not self.findings and self.acknowledged > 0 and self.failed.total() > 0

    def __str__(self) -> str:
        return (
            f"{'PASSED' if self.good else 'FAILED'}: {self.rounds} rounds, {self.failed.total()} file calls failed "
            f"({len(self.failed)} of {len(FAULTS)} kinds of faults met), {self.acknowledged} operations acknowledged, "
            f"{self.refused} refused, {self.findings} findings"
        )


class Rounds:
    """Rounds of faults on one data directory."""

    def __init__(self, folder: Path, seed: int, tell: Callable[[str], None]) -> None:
        self._faults = Faults(folder / "faults")
        self._server = Server(folder, environment={**SETTINGS, **self._faults.environment()})
        self._random = random.Random(seed)
        self._clients = clients(CLIENTS, seed)
        for client in self._clients:
            client.excuses, client.excused = REFUSALS, self._refused
        self._tell = tell
        self._round = 0
        self._under_way = ""
        self.outcome = Outcome()

    def run(self, rounds: int) -> Outcome:
        try:
            self._server.start()
            with closing(self._s3()) as s3:
                set_up(s3)
            for self._round in range(1, rounds + 1):
                self.outcome.rounds = self._round
                if self._round % 2:
                    self._load(lambda: None)
                    self._inspect("with the disk well again")
                    continue
                self._load(self._end_badly)
                self._server.options = ("--workers", str(1 + self._round // 2 % 2))
                self._server.start()
                self._inspect("after a restart")
        finally:
            self._server.kill()
            self._faults.close()
        return self.outcome

    def _s3(self) -> S3:
        return S3(self._server.port, self._server.admin.access_key, self._server.admin.secret_key)

    def _refused(self) -> None:
        self.outcome.refused += 1
        time.sleep(WAIT_SECONDS)

    def _end_badly(self) -> None:
        """Have every sync of the catalog fail for a moment, then kill the gateway."""
        self._faults.arm(Call.SYNC, "catalog.db-wal", times=1000)
        time.sleep(0.1)
        self._server.kill()

    def _load(self, end: Callable[[], None]) -> None:
        before = sum(client.done for client in self._clients)
        over = threading.Event()
        with self._failing(over):
            connections = [self._s3() for _ in self._clients]
            under_load(self._clients, connections, self._random.uniform(1, 2), lambda: self._end(over, end))
        self.outcome.acknowledged += sum(client.done for client in self._clients) - before

    def _end(self, over: threading.Event, end: Callable[[], None]) -> None:
        over.set()
        self._failer.join()
        end()

    @contextmanager
    def _failing(self, over: threading.Event) -> Iterator[None]:
        """Let something fail every now and then."""

        def fail() -> None:
            while not over.wait(self._random.uniform(0.01, 0.1)):
                fault = self._random.choice(FAULTS)
                times = self._random.choice((1, 1, 3, 1000))
                self._under_way = str(fault)
                self._faults.arm(fault.calls, fault.part, fault.error, skip=self._random.randrange(6), times=times)
                over.wait(self._random.uniform(0.05, 0.3))
                if met := self._faults.met:
                    self.outcome.failed[str(fault)] += met
                self._faults.disarm()

        self._failer = threading.Thread(target=fail)
        self._failer.start()
        try:
            yield
        finally:
            over.set()
            self._failer.join()
            self._faults.disarm()

    def _inspect(self, when: str) -> None:
        with closing(Rpc(self._server)) as rpc, closing(self._s3()) as s3:
            found = look(s3)
            judged = judge(found, {client.name: (client.world, client.doubt) for client in self._clients})
            problems = [client.problem for client in self._clients if client.problem]
            for client in self._clients:
                client.problem = ""
                adopt(client, found, s3)
            report = rpc("fsck", rehash=True)
            if report["exit_code"] not in (0, 1):
                problems.append(f"fsck: {report['findings'][:3]}")
            removed, after = rpc("gc", grace_seconds=0), rpc("fsck")
            if after["exit_code"] or removed["problems"]:
                problems.append(f"after gc: {after['findings'][:3]} {removed['problems'][:3]}")
            answer = s3.call("PUT", f"/{PLAIN}/{self._clients[0].name}/well", body=b"well")
            gone = s3.call("DELETE", f"/{PLAIN}/{self._clients[0].name}/well")
            problems += [f"a write answers {each}" for each in (answer, gone) if not each.ok]
        for finding in (*judged.lost, *judged.torn, *problems):
            self.outcome.findings += 1
            self._tell(f"round {self._round}, {when} (last fault {self._under_way}): {finding}")


def run(rounds: int, seed: int, folder: Path, tell: Callable[[str], None] = print) -> Outcome:
    return Rounds(folder, seed, tell).run(rounds)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reliability.io_errors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-io-errors-") as folder:
        outcome = run(chosen.rounds, chosen.seed, Path(folder), lambda line: print(line, flush=True))
    for fault, count in outcome.failed.most_common():
        print(f"{count:6} {fault}")
    print(outcome)
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
