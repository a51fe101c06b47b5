"""What a check is, and the one list of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from conformance.clients.stand import Stand
from conformance.clients.tools import Source, Tool

Check = Callable[[Stand, Tool], None]


@dataclass(frozen=True)
class Client:
    """A client: its name, where it comes from, and what is done with it. The fast ones run with the tests."""

    name: str
    source: Source
    check: Check
    does: str
    fast: bool


_CLIENTS: dict[str, Client] = {}


def client(name: str, source: Source, *, fast: bool = False, does: str = "") -> Callable[[Check], Check]:
    """Register a check. It raises when the client did not get what it should; its docstring says what it does."""

    def register(check: Check) -> Check:
        _CLIENTS[name] = Client(name, source, check, does or " ".join((check.__doc__ or "").split()).rstrip("."), fast)
        return check

    return register


def clients(names: Sequence[str] = (), *, fast: bool = False) -> list[Client]:
    """The checks of those names in their order, or all (or all fast ones) by name."""
    package = importlib.import_module("conformance.clients.checks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    if unknown := sorted(set(names) - set(_CLIENTS)):
        raise LookupError(f"no such client: {', '.join(unknown)}; --list shows them")
    if names:
        return [_CLIENTS[name] for name in names]
    return [each for _, each in sorted(_CLIENTS.items()) if each.fast or not fast]
