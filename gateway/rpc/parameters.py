"""What a call brings against what its method takes: known names, all that is needed, each of its type."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from gateway.rpc.errors import BAD_PARAMETERS, RpcError

LARGEST = 2**63 - 1
DEEPEST = 64
"""How far lists and objects may be nested in a value: what is deeper could be taken, but not told again."""
Declared = Mapping[str, tuple[Any, bool]]
"""The type of each parameter, and whether it must be given."""


def declared_by(function: Callable[..., Any]) -> Declared:
    """The parameters that a method takes: the keyword-only ones of its function."""
    hints = typing.get_type_hints(function)
    return {
        name: (hints[name], parameter.default is parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def check(declared: Declared, given: Any) -> dict[str, Any]:
    """The parameters of a call. Raises RpcError."""
    if not isinstance(given, dict):
        raise RpcError(BAD_PARAMETERS, "params is not a JSON object")
    for name, value in given.items():
        if name not in declared:
            raise RpcError(BAD_PARAMETERS, f"unknown parameter {name!r}")
        if not _fits(value, declared[name][0]):
            raise RpcError(BAD_PARAMETERS, f"parameter {name!r} has the wrong type")
    for name, (_, needed) in declared.items():
        if needed and name not in given:
            raise RpcError(BAD_PARAMETERS, f"parameter {name!r} is missing")
    return given


def _fits(value: Any, hint: Any) -> bool:
    if hint is Any:
        return _is_text(value)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if kind is list:
        return isinstance(value, list) and all(_fits(each, typing.get_args(hint)[0]) for each in value)
    if kind is dict:
        return isinstance(value, dict) and _is_text(value)
    if kind is bytes:
        return isinstance(value, bytes | bytearray)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    if kind is str:
        return isinstance(value, str) and _is_text(value)
    return isinstance(value, kind)


def _is_text(value: Any, depth: int = DEEPEST) -> bool:
    """Whether every text in a value is one: JSON can spell halves of characters, which nothing can store."""
    if depth < 0:
        return False
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    if isinstance(value, dict):
        return all(_is_text(name) and _is_text(item, depth - 1) for name, item in value.items())
    if isinstance(value, list):
        return all(_is_text(item, depth - 1) for item in value)
    return True
