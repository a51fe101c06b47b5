"""Who is right where the gateway and moto differ, by AWS's documentation."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Verdict:
    """``right`` is gateway, moto or either (AWS leaves it open, or both are allowed)."""

    right: str
    why: str
    url: str

    @property
    def text(self) -> str:
        return f"{self.why} {self.url}"


VERDICTS: dict[tuple[str, str], Verdict] = {}
"""By case and member, both patterns; the first that fits decides."""


def verdict_on(case: str, operation: str, member: str) -> Verdict | None:
    for (cases, members), verdict in VERDICTS.items():
        if (fnmatchcase(case, cases) or fnmatchcase(operation, cases)) and fnmatchcase(member, members):
            return verdict
    return None
