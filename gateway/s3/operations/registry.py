"""The one registry: handlers by the operation they implement.

A handler's keyword parameters declare which input members it supports; the door checks them against the model when
it is compiled, so a handler that asks for a member S3 does not have stops the start.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from gateway.s3.call import Result
from gateway.s3.model import Operation

Handler = Callable[..., Awaitable[Result]]
H = TypeVar("H", bound=Handler)


@dataclass(frozen=True, slots=True)
class Registered:
    """A handler, the members it takes, and those it is safe to ignore with the reason why."""

    handler: Handler
    takes: frozenset[str]
    ignores: Mapping[str, str]

    def check(self, operation: Operation) -> None:
        """Raise TypeError for a declared member that the model lacks."""
        known = {member.name for member in operation.inputs}
        for name in sorted((self.takes | self.ignores.keys()) - known):
            raise TypeError(f"{self.handler.__name__} declares {name}, which {operation.name} does not have")


@dataclass(slots=True)
class Registry:
    """Handlers by operation name. ``operation`` is its decorator."""

    handlers: dict[str, Registered] = field(default_factory=dict)

    @overload
    def operation(self, handler: H) -> H: ...

    @overload
    def operation(self, *, ignores: Mapping[str, str]) -> Callable[[H], H]: ...

    def operation(self, handler: H | None = None, *, ignores: Mapping[str, str] | None = None) -> H | Callable[[H], H]:
        """Register ``async def delete_object(call, *, Bucket, Key)`` as DeleteObject.

        ``ignores`` names members that may be sent without being taken, each with the reason.
        """

        def register(function: H) -> H:
            name = operation_name(function.__name__)
            if name in self.handlers:
                raise TypeError(f"{name} has two handlers")
            self.handlers[name] = Registered(function, _members(function), ignores or {})
            return function

        return register if handler is None else register(handler)


def operation_name(function_name: str) -> str:
    """``list_objects_v2`` -> ``ListObjectsV2``."""
    return "".join(word[:1].upper() + word[1:] for word in function_name.split("_"))


def _members(function: Callable[..., Any]) -> frozenset[str]:
    parameters = inspect.signature(function).parameters.values()
    return frozenset(parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY)


REGISTRY = Registry()
operation = REGISTRY.operation
