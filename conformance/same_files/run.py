"""What every client does at a place, and whether all of them then see the same."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from conformance.clients.stand import ClientFailed, Stand
from conformance.same_files.actors import Actor, acting
from conformance.same_files.places import Place
from tests.e2e.harness import Server

BEFORE = "before/was there ü.txt"
"""What the store's own client put there before the store was mounted."""


@dataclass(frozen=True)
class Outcome:
    """What came of a client at a place: nothing, where all was as it should be."""

    place: str
    actor: str
    differences: tuple[str, ...]


def visit(server: Server, place: Place, actors: list[str], folder: Path, large: int) -> list[Outcome]:
    """Mount a place, let every client work there, and then look at what the others left."""
    expected: dict[str, bytes] = {}
    if place.layout == "native":
        expected[BEFORE] = os.urandom(5000)
        place.direct.put(BEFORE, expected[BEFORE])
    settings = {**place.config, "layout": place.layout}
    words = [word for name, value in settings.items() for word in ("--config", f"{name}={value}")]
    server.nexus("mounts", "add", f"/{place.name}", place.store, "--priority", "10", *words)
    faults: dict[str, list[str]] = {name: [] for name in actors}
    with ExitStack() as stack:
        at_work: dict[str, Actor] = {}
        for name in actors:
            home = folder / f"{place.name}-{name}"
            home.mkdir()
            key = server.admin
            stand = Stand(server.port, key.access_key, key.secret_key, home, place.name)
            at_work[name] = stack.enter_context(acting(name, stand, key.api_key))
        for name, actor in at_work.items():
            _noting(faults[name], "writes", lambda a=actor, n=name: expected.update(_write(a, n, folder, large)))
        for name, actor in at_work.items():
            _noting(faults[name], "reads", lambda a=actor, n=name: faults[n].extend(_look(a, expected, folder)))
    outcomes = [Outcome(place.name, name, tuple(told)) for name, told in faults.items()]
    if place.layout == "native":
        outcomes.append(Outcome(place.name, "the store's own", tuple(_compare(place.own_files(), expected))))
    return outcomes


def _noting(faults: list[str], act: str, work: object) -> None:
    try:
        work()  # type: ignore[operator]
    except (Exception, ClientFailed) as error:
        faults.append(f"{act}: {type(error).__name__}: {str(error)[-500:]}")


def _write(actor: Actor, name: str, folder: Path, large: int) -> dict[str, bytes]:
    """Put, overwrite, copy, move and remove; what must be there afterwards."""
    source = folder / "source"

    def put(key: str, content: bytes) -> bytes:
        source.write_bytes(content)
        actor.put(key, source)
        return content

    left = {
        f"{name}/empty": put(f"{name}/empty", b""),
        f"{name}/large.bin": put(f"{name}/large.bin", os.urandom(large)),
        f"{name}/deep/er/a name+with=ü & such.txt": put(f"{name}/deep/er/a name+with=ü & such.txt", os.urandom(3000)),
    }
    put(f"{name}/again.txt", os.urandom(100))
    left[f"{name}/again.txt"] = put(f"{name}/again.txt", os.urandom(20_000))
    actor.copy(f"{name}/again.txt", f"{name}/copy.txt")
    left[f"{name}/copy.txt"] = left[f"{name}/again.txt"]
    actor.copy(f"{name}/large.bin", f"{name}/large copy.bin")
    left[f"{name}/large copy.bin"] = left[f"{name}/large.bin"]
    left[f"{name}/moved.txt"] = put(f"{name}/to move.txt", os.urandom(500))
    actor.move(f"{name}/to move.txt", f"{name}/moved.txt")
    put(f"{name}/removed.txt", b"soon gone")
    actor.remove(f"{name}/removed.txt")
    return left


def _look(actor: Actor, expected: Mapping[str, bytes], folder: Path) -> list[str]:
    """List and read everything, by this client."""
    target = folder / "target"
    found: dict[str, bytes] = {}
    listed = actor.listed()
    for key in listed:
        target.unlink(missing_ok=True)
        actor.get(key, target)
        found[key] = target.read_bytes()
    faults = _compare(found, expected)
    faults += [f"{key}: listed {times} times" for key, times in Counter(listed).items() if times > 1]
    for key, content in expected.items():
        start, stop = len(content) // 3, len(content) // 3 + 1000
        if len(content) > stop and actor.part(key, start, stop) != content[start:stop]:
            faults.append(f"{key}: other bytes in the range {start}-{stop}")
    return faults


def _compare(found: Mapping[str, bytes], expected: Mapping[str, bytes]) -> list[str]:
    faults = [f"{key}: missing" for key in sorted(expected.keys() - found.keys())]
    faults += [f"{key}: should not be there" for key in sorted(found.keys() - expected.keys())]
    for key in sorted(found.keys() & expected.keys()):
        if found[key] != expected[key]:
            faults.append(f"{key}: {_digest(found[key])} instead of {_digest(expected[key])}")
    return faults


def _digest(content: bytes) -> str:
    return f"{len(content)} bytes, {hashlib.sha256(content).hexdigest()[:12]}"
