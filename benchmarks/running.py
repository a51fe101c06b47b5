"""Servers as the harness sees them: how one starts, and what there is once it answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.signing import Signer


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    pid: int
    """Its first process; all that it starts counts as well."""
    signer: Signer
    version: str
    data: Path | None = None
    """Where its files are, if it takes no PUT."""
    catalog: Path | None = None
    """The gateway's, to fill it with more keys than anybody would wait for."""


@dataclass(frozen=True)
class Kind:
    """A server that can be measured. What the page tells of it is data, so that no reader has to guess."""

    start: Callable[[Path], AbstractContextManager[Running]]
    title: str
    syncs: str
    only: frozenset[str] = frozenset()
    """The operations that it is measured in; all, if empty."""
    only_writes: bool = False
    """Whether another server stands for it where nothing is written."""
