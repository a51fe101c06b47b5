"""Kill rounds: a gateway under mixed load is killed at random moments and must have kept what it acknowledged.

    python -m reliability.crash --rounds 200 --seed 1

Each round starts the gateway on what the last one left, with one worker or two in turns, and kills its whole process
group with SIGKILL while clients write and a collector without grace runs; now and then it is killed again while it
starts. Then everything is read and held against what the clients were told, ``fsck --rehash`` may find orphans at most,
and after a collection nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from reliability.inspection import adopt, judge, look
from reliability.s3 import S3
from reliability.workload import SETTINGS, Client, clients, set_up
from tests.e2e.harness import Server, nexus
from tests.e2e.rpc import Rpc

CLIENTS = 6
OFFLINE_EVERY = 10
"""How often the crashed directory is checked before a gateway starts on it."""


@dataclass
class Outcome:
    rounds: int = 0
    acknowledged: int = 0
    lost: int = 0
    torn: int = 0
    problems: int = 0
    fsck: Counter[str] = field(default_factory=Counter)
    orphans: int = 0

    @property
    def good(self) -> bool:
        return not (self.lost or self.torn or self.problems or set(self.fsck) - {"clean", "orphans"})

    def __str__(self) -> str:
        verdicts = ", ".join(f"{word} {count} times" for word, count in sorted(self.fsck.items()))
        return (
            f"{'PASSED' if self.good else 'FAILED'}: {self.rounds} rounds, {self.acknowledged} operations "
            f"acknowledged, {self.lost} lost, {self.torn} torn, {self.problems} other findings; fsck: {verdicts} "
            f"({self.orphans} orphans in all, collected)"
        )


class Rounds:
    """Kill rounds on one data directory."""

    def __init__(self, folder: Path, seed: int, tell: Callable[[str], None]) -> None:
        self._server = Server(folder, environment=dict(SETTINGS))
        self._random = random.Random(seed)
        self._clients = clients(CLIENTS, seed)
        self._tell = tell
        self.outcome = Outcome()

    def run(self, rounds: int) -> Outcome:
        try:
            self._start(1)
            s3 = self._s3()
            set_up(s3)
            s3.close()
            for number in range(1, rounds + 1):
                self._round(number)
                self.outcome.rounds = number
        finally:
            self._server.kill()
        return self.outcome

    def _round(self, number: int) -> None:
        self._load(0.2 + 1.8 * self._random.random() ** 2)
        if number % OFFLINE_EVERY == 0:
            self._check_offline(number)
        if self._random.random() < 0.15:
            self._kill_while_starting()
        self._start(1 + number % 2)
        self._inspect(number)

    def _start(self, workers: int) -> None:
        self._server.options = ("--workers", str(workers))
        self._server.port = 0
        self._server.start()

    def _s3(self) -> S3:
        return S3(self._server.port, self._server.admin.access_key, self._server.admin.secret_key)

    def _load(self, seconds: float) -> None:
        before = sum(client.done for client in self._clients)
        under_load(self._clients, [self._s3() for _ in self._clients], seconds, self._server.kill)
        self.outcome.acknowledged += sum(client.done for client in self._clients) - before

    def _kill_while_starting(self) -> None:
        def kill() -> None:
            if self._server.process is not None:
                with suppress(ProcessLookupError):
                    os.killpg(self._server.process.pid, signal.SIGKILL)

        timer = threading.Timer(self._random.uniform(0.1, 1.0), kill)
        timer.start()
        with suppress(RuntimeError):  # it does not start: that is what is wanted
            self._server.start()
        timer.join()
        self._server.kill()

    def _check_offline(self, number: int) -> None:
        where = ("--data-dir", str(self._server.data_dir))
        done = nexus("fsck", "--rehash", *where, environment=self._server.environment)
        self._note(number, done.returncode, done.stdout + done.stderr)

    def _inspect(self, number: int) -> None:
        with closing(Rpc(self._server)) as rpc, closing(self._s3()) as s3:
            self._compare(number, rpc, s3)

    def _compare(self, number: int, rpc: Rpc, s3: S3) -> None:
        report = rpc("fsck", rehash=True)
        self._note(number, report["exit_code"], str(report["findings"][:3]))
        self.outcome.orphans += sum(finding["kind"] == "orphan" for finding in report["findings"])
        found = look(s3)
        judged = judge(found, {client.name: (client.world, client.doubt) for client in self._clients})
        for word, findings in (("lost", judged.lost), ("torn", judged.torn)):
            for each in findings:
                self._tell(f"round {number}: {word}: {each}")
        self.outcome.lost += len(judged.lost)
        self.outcome.torn += len(judged.torn)
        for client in self._clients:
            if client.problem:
                self.outcome.problems += 1
                self._tell(f"round {number}: {client.problem}")
                client.problem = ""
            adopt(client, found, s3)
        removed = rpc("gc", grace_seconds=0)
        report = rpc("fsck")
        if report["exit_code"] or removed["problems"]:
            self.outcome.problems += 1
            self._tell(f"round {number}: after gc: {report['findings'][:3]} {removed['problems'][:3]}")

    def _note(self, number: int, code: int, detail: str) -> None:
        word = {0: "clean", 1: "orphans"}.get(code, f"exit code {code}")
        self.outcome.fsck[word] += 1
        if code not in (0, 1):
            self._tell(f"round {number}: fsck: {detail[:500]}")


def under_load(writers: list[Client], connections: list[S3], seconds: float, end: Callable[[], None]) -> None:
    """Have clients write for a while, then do what ends the server, or the load."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=client.run, args=(s3, stop)) for client, s3 in zip(writers, connections, strict=True)
    ]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    end()
    stop.set()
    for thread in threads:
        thread.join()


def run(rounds: int, seed: int, folder: Path, tell: Callable[[str], None] = print) -> Outcome:
    return Rounds(folder, seed, tell).run(rounds)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reliability.crash",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-crash-") as folder:
        outcome = run(chosen.rounds, chosen.seed, Path(folder), lambda line: print(line, flush=True))
    print(outcome)
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
