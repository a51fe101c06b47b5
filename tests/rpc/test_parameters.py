"""What a call brings against what its method takes."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.rpc import all_methods as _all_methods  # noqa: F401  (fills the table)
from gateway.rpc.errors import BAD_PARAMETERS, RpcError
from gateway.rpc.methods import METHODS
from gateway.rpc.parameters import DEEPEST, check


def nested(depth: int, opening: str) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value] if opening == "[" else {"a": value}
    return value


@pytest.mark.parametrize("opening", ["[", "{"])
def test_values_are_nested_so_far_and_no_further(opening: str) -> None:
    declared = METHODS["set_metadata"].declared
    given = {"path": "/ws/a", "metadata": {"a": nested(DEEPEST - 1, opening)}}
    assert check(declared, given) == given
    for depth in (DEEPEST, 400, 900):
        with pytest.raises(RpcError) as refusal:
            check(declared, {"path": "/ws/a", "metadata": {"a": nested(depth, opening)}})
        assert refusal.value.code == BAD_PARAMETERS


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e300])
def test_a_number_that_no_clock_counts_is_refused(number: float) -> None:
    with pytest.raises(RpcError):
        check(METHODS["gc"].declared, {"grace_seconds": number})
