"""The method table: a method's keyword parameters are the names that a call of it may bring.

Methods about files act on a ``Tree``, the name space as their caller sees it; the others on the core, for admins.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

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

    async def __call__(self, tree: Tree, **parameters: Any) -> Any:
        if self.on_tree:
            return await self.function(tree, **parameters)
        return await self.function(tree.core, tree.principal, **parameters)


METHODS: dict[str, Method] = {}


def method(function: F) -> F:
    """Register a method of core and caller, under its own name."""
    METHODS[function.__name__] = Method(function, declared_by(function), on_tree=False)
    return function


def on_tree(function: F) -> F:
    """Register a method of the tree as its caller sees it; a trailing underscore of its name is dropped."""
    METHODS[function.__name__.rstrip("_")] = Method(function, declared_by(function), on_tree=True)
    return function


def require_admin(principal: Principal) -> None:
    if not principal.is_admin or principal.readonly or principal.prefixes:
        raise NotAllowed("this needs an unrestricted key of an admin")
