"""Judges versions that keys do not show as they are read, of each key the latest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from gateway.catalog.lifecycle import Mandate, Replaced
from gateway.lifecycle import decide
from gateway.lifecycle.decide import Due
from gateway.lifecycle.rules import Rule
from gateway.locks import is_locked


class Verdicts(NamedTuple):
    expired: list[tuple[Replaced, Rule]]
    markers: list[tuple[Replaced, Rule]]
    """Delete markers that hide nothing once what is expired is gone."""
    moves: list[tuple[Replaced, Due]]
    locked: int


class Judge:
    """Takes rows in order; keeps of a key no more than how many it has seen, and its delete marker."""

    def __init__(self, mandate: Mandate, locked_at: int, may_write: Callable[[str], bool]) -> None:
        self._mandate = mandate
        self._locked_at = locked_at
        self._may_write = may_write
        self._key: str | None = None
        self._marker: Replaced | None = None
        self._newer = 0
        self._verdicts = Verdicts([], [], [], 0)

    def take_all(self, rows: Iterable[Replaced]) -> None:
        for row in rows:
            self.take(row)

    def take(self, row: Replaced) -> None:
        if row.facts.key != self._key:
            self.end()
            self._key, self._newer = row.facts.key, 0
        if row.is_latest:
            self._marker = row
            return
        if not self._goes(row):
            self._marker = None  # it hides something that stays
        self._newer += 1

    def _goes(self, row: Replaced) -> bool:
        mandate, newer = self._mandate, self._newer
        rule = decide.noncurrent_expiration(mandate.lifecycle, mandate.calendar, row.facts, newer, mandate.at)
        move = decide.noncurrent_transition(mandate.lifecycle, mandate.calendar, row.facts, newer, mandate.at)
        if (rule is None and move is None) or not self._may_write(row.facts.key):
            return False
        if rule is not None and not is_locked(row.lock, self._locked_at):
            self._verdicts.expired.append((row, rule))
            return True
        if rule is not None:
            self._verdicts = self._verdicts._replace(locked=self._verdicts.locked + 1)
        if move is not None and not row.is_marker:
            self._verdicts.moves.append((row, move))
        return False

    def end(self) -> None:
        """No more of this key."""
        if self._marker is not None:
            mandate = self._mandate
            rule = decide.marker_expiration(mandate.lifecycle, mandate.calendar, self._marker.facts, mandate.at)
            if rule is not None and self._may_write(self._marker.facts.key):
                self._verdicts.markers.append((self._marker, rule))
            self._marker = None

    def harvest(self) -> Verdicts:
        """What was found since it was last asked for."""
        found, self._verdicts = self._verdicts, Verdicts([], [], [], 0)
        return found
