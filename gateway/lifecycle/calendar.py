"""When a rule's days are over."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.lifecycle.rules import When

DAY_MS = 86_400_000
NEVER = -1
EVER = 2**62


@dataclass(frozen=True, slots=True)
class Calendar:
    """Counts days. They are made shorter only to see in seconds what takes days."""

    day_ms: int = DAY_MS

    def after(self, start: int, days: int) -> int:
        """The time when so many days since ``start`` are over: the midnight after.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html: the days are added to the
        time, and the result is rounded to the next day's midnight UTC. A shorter day has no midnight.
        """
        end = start + days * self.day_ms
        return end - end % DAY_MS + DAY_MS if self.day_ms == DAY_MS else end

    def due(self, when: When, start: int) -> int:
        """The time at which an action is due for what began at ``start``."""
        return when.date if when.date is not None else self.after(start, when.days or 0)

    def latest_start(self, when: When, now: int) -> int:
        """What began later than this is not due yet; NEVER and EVER where that does not depend on when it began."""
        if when.date is not None:
            return EVER if when.date <= now else NEVER
        return now - (when.days or 0) * self.day_ms
