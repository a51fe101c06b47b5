"""Power cuts: what a gateway did to its files is replayed to states of a disk that lost what was not synced.

    python -m reliability.power_cut --states 100 --seed 1

A gateway works for some seconds under the mixed load of the kill rounds while a preloaded library (built by ``cc``)
writes down each of its file operations, and the clients when they began and when they were answered. Then, for moments
all over that record, disks are made on which everything unsynced is lost, or any part of it, or names but not bytes, or
bytes but not names, or the last write of a file is torn; the gateway is started on each, and everything that had been
acknowledged by that moment must be there. ``--durability none`` and ``--plant catalog``, ``packs``, ``blobs`` or
``folders`` show that the check finds losses: with each it must fail.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from reliability.crash import CLIENTS, under_load
from reliability.disk import FORGETS, LOSSES, Disk, Loss, nothing_lost
from reliability.inspection import judge, look
from reliability.recording import Kind, Recording
from reliability.s3 import S3
from reliability.workload import SETTINGS, Client, clients, holds, set_up
from tests.e2e.harness import Server
from tests.e2e.rpc import Rpc

AT_ANSWERS = 0.6
"""The share of moments that are right after an answer."""


@dataclass
class Outcome:
    records: int = 0
    syncs: int = 0
    acknowledged: int = 0
    states: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    """States with a finding, by what was lost."""
    findings: int = 0

    @property
    def good(self) -> bool:
        return not self.findings and self.states > 0 and self.acknowledged > 0

    def __str__(self) -> str:
        kinds = "".join(f"; {count} bad with {name}" for name, count in sorted(self.bad.items()))
        return (
            f"{'PASSED' if self.good else 'FAILED'}: {self.records} file operations ({self.syncs} syncs), "
            f"{self.acknowledged} operations acknowledged, {self.states} states after power cuts, "
            f"{self.findings} findings{kinds}"
        )


@dataclass
class Recorded:
    """A gateway's work: its record, ``real``, its data directory as it was in the end, and what its clients know."""

    recording: Recording
    server: Server
    writers: list[Client]
    ready: int
    """The mark from which on the gateway was set up."""

    @property
    def real(self) -> Path:
        return self.server.folder / "real"


def record(folder: Path, seed: int, seconds: float, workers: int, durability: str) -> Recorded:
    """Have a gateway work for some seconds, and stop it."""
    server = Server(folder, ("--workers", str(workers)))
    recording = Recording(folder / "record", server.data_dir)
    server.environment = {**SETTINGS, "NEXUS_DURABILITY": durability, **recording.environment()}
    writers = clients(CLIENTS, seed, recording.mark, keep=True)
    try:
        server.start()
        s3 = _s3(server)
        set_up(s3)
        s3.close()
        ready = recording.mark()
        under_load(writers, [_s3(server) for _ in writers], seconds, lambda: None)
        server.stop()
    finally:
        server.kill()
    recording.close()
    os.rename(server.data_dir, folder / "real")
    server.environment = {**SETTINGS, "NEXUS_GC_INTERVAL": "3600"}
    server.options = ()
    return Recorded(recording, server, writers, ready)


def _s3(server: Server) -> S3:
    return S3(server.port, server.admin.access_key, server.admin.secret_key)


def replay(made: Recorded, *, seed: int, states: int, plant: str = "", tell: Callable[[str], None] = print) -> Outcome:
    """Try power cuts at moments of a record; with a defect planted, as if some syncs had never been."""
    outcome = Outcome(acknowledged=sum(writer.done for writer in made.writers))
    for problem in [writer.problem for writer in made.writers if writer.problem]:
        outcome.findings += 1
        tell(problem)
    chance = random.Random(seed)
    moments = dict(zip(_moments(made, states, chance, outcome), _cycle(LOSSES, states), strict=False))
    disk, mark = Disk(plant), 0
    for number, each in enumerate(made.recording.records()):
        disk.apply(each)
        mark = each.at if each.kind == Kind.MARK else mark
        if number in moments:
            loss = moments[number]
            disk.write_down(made.server.data_dir, loss, chance)
            found = _inspect(made, mark)
            outcome.states += 1
            outcome.findings += len(found)
            outcome.bad[loss.__name__] += bool(found)
            for finding in found[:5]:
                tell(f"power cut at operation {number}, {loss.__name__}: {finding}")
    outcome.bad = +outcome.bad
    disk.write_down(made.server.data_dir, nothing_lost, chance)
    for difference in _differences(made.real, made.server.data_dir):
        outcome.findings += 1
        tell(f"the record is not complete: {difference}")
    return outcome


def _cycle(losses: tuple[Loss, ...], count: int) -> list[Loss]:
    return [losses[number % len(losses)] for number in range(count)]


def _moments(made: Recorded, states: int, chance: random.Random, outcome: Outcome) -> list[int]:
    """Places in the record after the set-up: right after the last answer, and in no order others, many like that."""
    answers = {step.acknowledged for writer in made.writers for step in writer.history or ()}
    ready, told = 0, []
    for number, each in enumerate(made.recording.records()):
        outcome.records += 1
        outcome.syncs += each.kind == Kind.SYNC_ENDS
        if each.kind == Kind.MARK and each.at == made.ready:
            ready = number
        elif each.kind == Kind.MARK and each.at in answers:
            told.append(number)
    chosen = {told[-1], *chance.sample(told[:-1], min(len(told) - 1, round(states * AT_ANSWERS) - 1))}
    others = [number for number in range(ready, outcome.records) if number not in chosen]
    rest = [*(chosen - {told[-1]}), *chance.sample(others, min(len(others), states - len(chosen)))]
    chance.shuffle(rest)
    return [told[-1], *rest]


def _inspect(made: Recorded, mark: int) -> list[str]:
    """Start the gateway on a disk, and hold what it has against what was acknowledged."""
    server = made.server
    server.port = 0
    server.log.unlink(missing_ok=True)
    try:
        server.start()
        with closing(Rpc(server)) as rpc, closing(_s3(server)) as s3:
            report = rpc("fsck", rehash=True)
            found = [f"fsck: {report['findings'][:3]}"] if report["exit_code"] not in (0, 1) else []
            judged = judge(look(s3), {writer.name: holds(writer, mark) for writer in made.writers})
        return [*found, *judged.lost, *judged.torn]
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    finally:
        server.kill()


def _differences(real: Path, replayed: Path) -> Iterator[str]:
    """What differs between a directory and the replay of its whole record."""
    ours, theirs = _files(real), _files(replayed)
    for name in sorted(ours.keys() ^ theirs.keys()):
        yield f"{name} is only {'in the directory' if name in ours else 'in the record'}"
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name] is not None and ours[name].read_bytes() != theirs[name].read_bytes():
            yield f"{name} differs"


def _files(folder: Path) -> dict[str, Path]:
    return {
        str(path.relative_to(folder)): path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reliability.power_cut",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--states", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4, help="how long the gateway works")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--durability", choices=("fsync", "none"), default="fsync")
    parser.add_argument("--plant", choices=sorted(FORGETS), default="", help="a defect: whose syncs are forgotten")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nexus-power-cut-") as folder:
        made = record(Path(folder), chosen.seed, chosen.seconds, chosen.workers, chosen.durability)
        outcome = replay(
            made,
            seed=chosen.seed,
            states=chosen.states,
            plant=chosen.plant,
            tell=lambda line: print(line, flush=True),
        )
    print(outcome)
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
