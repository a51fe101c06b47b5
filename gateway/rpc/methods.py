"""The method table: a method's keyword parameters are the names that a call of it may bring.

Methods about files act on a ``Tree``, the name space as their caller sees it; the others on the core, for admins.
What a method of the core does is written to the audit log unless it says that it only ``reads``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from gateway.errors import NotAllowed
from gateway.rpc.parameters import Declared, declared_by
from gateway.rpc.tree import Tree
from gateway.types import Principal

Function = Callable[..., Awaitable[Any]]
F = TypeVar("F", bound=Function)


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the table."""

    function: Function
    declared: Declared
    on_tree: bool
    audited: bool

    @property
    def for_admins(self) -> bool:
        return not self.on_tree

    @property
    def target(self) -> str | None:
        """The parameter that says what the method acts on: the first that must be given."""
        return next((name for name, (_, needed) in self.declared.items() if needed), None)

    async def __call__(self, tree: Tree, **parameters: Any) -> Any:
        if self.on_tree:
            return await self.function(tree, **parameters)
        return await self.function(tree.core, tree.principal, **parameters)


METHODS: dict[str, Method] = {}


@overload
def method(function: F) -> F: ...
@overload
def method(*, reads: bool) -> Callable[[F], F]: ...
def method(function: F | None = None, *, reads: bool = False) -> F | Callable[[F], F]:
    """Register a method of core and caller, under its own name: for admins, and audited unless it only ``reads``."""

    def register(function: F) -> F:
        METHODS[function.__name__] = Method(function, declared_by(function), on_tree=False, audited=not reads)
        return function

    return register(function) if function is not None else register


@overload
def on_tree(function: F) -> F: ...
@overload
def on_tree(*, audited: bool) -> Callable[[F], F]: ...
def on_tree(function: F | None = None, *, audited: bool = False) -> F | Callable[[F], F]:
    """Register a method of the tree as its caller sees it; a trailing underscore of its name is dropped.

    One that changes who may do what says that it is to be ``audited``.
    """

    def register(function: F) -> F:
        METHODS[function.__name__.rstrip("_")] = Method(function, declared_by(function), on_tree=True, audited=audited)
        return function

    return register(function) if function is not None else register


def may_administer(principal: Principal) -> bool:
    return principal.is_admin and not principal.readonly and not principal.prefixes


def require_admin(principal: Principal) -> None:
    """Raise NotAllowed unless a key may administer. The door asks before every method of the core."""
    if not may_administer(principal):
        raise NotAllowed("this needs an unrestricted key of an admin")
