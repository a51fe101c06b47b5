"""Which operation a request means: a pure function over tables compiled from the model.

The invariant it guards: a write never reaches an operation that does not know every query key of the request.
Without it, ``PUT key?tagging`` sent to a gateway that lacks tagging replaces the object with its tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gateway.s3 import quirks
from gateway.s3.errors import (
    InvalidArgument,
    MethodNotAllowed,
    NotImplemented_,
    PreconditionFailed,
    S3Error,
)
from gateway.s3.model import Level, Operation

_READS = frozenset({"GET", "HEAD"})


class Routes:
    """The compiled table. ``find`` is pure and does no more than a few dictionary look-ups."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        every = list(operations)
        reachable = [row for row in every if not row.deprecated and row.name not in quirks.UNREACHABLE]
        self._lines: dict[tuple[str, Level], _Line] = {}
        for row in reachable:
            line = self._lines.setdefault((row.method, row.level), _Line())
            line.rows.append(row)
        for line in self._lines.values():
            line.seal()
        self._subresources = frozenset(key for row in every for key, _ in row.selectors)
        self._selecting = self._subresources | {key for row in every if not row.selectors for key in row.required_query}

    @staticmethod
    def level(bucket: str, key: str) -> Level:
        """Whether a path means the service, a bucket or a key."""
        return "key" if key else "bucket" if bucket else "service"

    def names_subresource(self, query: Mapping[str, str]) -> bool:
        """Whether a query key says what of a bucket or a key is meant."""
        return not self._selecting.isdisjoint(query)

    def find(self, method: str, level: Level, query: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Operation:
        """The operation of a request whose query keys are decoded and whose header names are lower-case.

        Raises MethodNotAllowed, NotImplemented and InvalidArgument.
        """
        line = self._lines.get((method, level))
        if line is None:
            raise _no_such_line(method, level)
        if not query and line.plain is not None and line.header not in headers:
            return line.plain
        chosen = line.choose(query, headers)
        if chosen is None:
            raise self._no_such_row(method, level, query, headers)
        for key in query:
            if key not in line.owned[chosen.name]:
                self._check_stray(method, line, chosen, key, query)
        return chosen

    def _check_stray(self, method: str, line: _Line, chosen: Operation, key: str, query: Mapping[str, str]) -> None:
        """Refuse a query key that the chosen operation does not own, where ignoring it could do harm."""
        if key in quirks.ALWAYS_ALLOWED_QUERY or key.lower().startswith(quirks.SIGNING_PREFIX):
            return
        if key in line.selecting and chosen.selectors:
            raise InvalidArgument(
                f"Conflicting query string parameters: {chosen.selectors[0][0]}, {key}",
                ArgumentName="ResourceType",
                ArgumentValue=key,
            )
        if method in _READS:
            if key in line.valued:
                raise InvalidArgument(
                    f"Invalid value for {key} specified in Request", ArgumentName=key, ArgumentValue=query[key]
                )
            if key in self._subresources:
                raise MethodNotAllowed(Method=method, ResourceType=key.upper())
            return
        if key in self._selecting:
            raise NotImplemented_(
                "A parameter you provided implies functionality that is not implemented", Parameter=key
            )
        message = "Unknown query string parameter"
        if key == "versionId":
            message = "This operation does not accept a version-id."
        raise InvalidArgument(message, ArgumentName=key, ArgumentValue=query[key])

    def _no_such_row(
        self, method: str, level: Level, query: Mapping[str, str], headers: Mapping[bytes, bytes]
    ) -> S3Error:
        """Why no operation fits: only a POST has no meaning without a query key."""
        known = next((key for key in query if key in self._selecting), None)
        if known is not None:
            return NotImplemented_(
                "A parameter you provided implies functionality that is not implemented", Parameter=known
            )
        if level != "bucket":
            return MethodNotAllowed(Method=method, ResourceType="OBJECT")
        return PreconditionFailed(Condition="Bucket POST must be of the enclosure-type multipart/form-data")


class _Line:
    """The operations that share a method and a level."""

    __slots__ = ("bare", "header", "owned", "plain", "rows", "selected", "selecting", "valued")

    def __init__(self) -> None:
        self.rows: list[Operation] = []

    def seal(self) -> None:
        """Sort the rows into tables; no row may come afterwards."""
        # The most specific first: among equals the one that asks for a header, then for more query keys.
        self.rows.sort(key=lambda row: (row.selecting_header is not None, len(row.required_query)), reverse=True)
        self.selected: dict[str, list[Operation]] = {}
        for row in self.rows:
            if row.selectors:
                self.selected.setdefault(row.selectors[0][0], []).append(row)
        self.bare = [row for row in self.rows if not row.selectors]
        self.plain = next((row for row in self.bare if not row.required_query and not row.selecting_header), None)
        self.header = next((row.selecting_header for row in self.rows if row.selecting_header), None)
        self.owned = {row.name: _owned(row) for row in self.rows}
        self.selecting = frozenset(self.selected)
        self.valued = frozenset(key for row in self.rows for key, value in row.selectors if value is not None)

    def choose(self, query: Mapping[str, str], headers: Mapping[bytes, bytes]) -> Operation | None:
        """The most specific row that fits.

        A sub-resource whose further keys are missing is still that sub-resource: parsing will name what is missing.
        """
        for key in query:
            if key in self.selected:
                rows = [row for row in self.selected[key] if _selected(row, query)]
                if rows:
                    return next((row for row in rows if _complete(row, query, headers)), rows[-1])
        return next((row for row in self.bare if _complete(row, query, headers)), None)


def _owned(row: Operation) -> frozenset[str]:
    members = (member.wire for member in row.inputs if member.location == "query")
    return frozenset(members) | {key for key, _ in row.selectors}


def _selected(row: Operation, query: Mapping[str, str]) -> bool:
    return all(key in query and value in (None, query[key]) for key, value in row.selectors)


def _complete(row: Operation, query: Mapping[str, str], headers: Mapping[bytes, bytes]) -> bool:
    if row.selecting_header is not None and row.selecting_header not in headers:
        return False
    return all(key in query for key in row.required_query)


def _no_such_line(method: str, level: Level) -> S3Error:
    resource = {"service": "SERVICE", "bucket": "BUCKET", "key": "OBJECT"}[level]
    return MethodNotAllowed(Method=method, ResourceType=resource)
