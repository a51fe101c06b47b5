"""What a listing has a thousand of: structures with the same members, kept by member.

Handlers make them of rows without a dictionary for each, and answers are written of them without one. To everybody else
they are what boto3's output has in their place: a sequence of mappings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload


class Columns(Sequence[Mapping[str, Any]]):
    """Structures by member: each column has a value for every one of them, None where it lacks that member.

    Of two lists that are written as one (``quirks.INTERLEAVED``), the second's ``places`` are where in it they stand.
    """

    __slots__ = ("_size", "columns", "places")

    def __init__(self, size: int, **columns: Sequence[Any]) -> None:
        if any(len(column) != size for column in columns.values()):
            raise ValueError(f"a column has not {size} values")
        self._size = size
        self.columns = columns
        self.places: Sequence[int] | None = None

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(self._size))]
        if at >= self._size:  # by which iteration ends, also where there is no column to tell
            raise IndexError(at)
        return {name: column[at] for name, column in self.columns.items()}
