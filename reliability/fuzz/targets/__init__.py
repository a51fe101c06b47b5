"""The fuzzers, by name."""

from __future__ import annotations

from collections.abc import Callable

from reliability.fuzz.targets.chunked import ChunkedTarget
from reliability.fuzz.targets.form import FormTarget
from reliability.fuzz.targets.http import HttpTarget
from reliability.fuzz.targets.policy import PolicyTarget
from reliability.fuzz.targets.query import QueryTarget
from reliability.fuzz.targets.rpc import RpcTarget
from reliability.fuzz.targets.xml import XmlTarget
from reliability.fuzz.through import Sendable

TARGETS: dict[str, Callable[[], Sendable]] = {
    "http": HttpTarget,
    "chunked": ChunkedTarget,
    "xml": XmlTarget,
    "form": FormTarget,
    "policy": PolicyTarget,
    "query": QueryTarget,
    "rpc": RpcTarget,
}
