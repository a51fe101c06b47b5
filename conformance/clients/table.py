"""What came of the checks, as lines for a terminal and as a page."""

from __future__ import annotations

import datetime
from collections import Counter
from dataclasses import dataclass

from conformance.clients.registry import Client

PASSED, FAILED, NOT_INSTALLABLE = "passed", "failed", "not installable here"


@dataclass(frozen=True)
class Outcome:
    """What came of one check; a reason unless it passed."""

    client: Client
    version: str
    result: str
    seconds: float
    reason: str


def line(outcome: Outcome) -> str:
    """A row for the terminal."""
    told = outcome.reason.strip().splitlines()[-1][:150] if outcome.reason else outcome.client.does
    return f"{outcome.client.name:16} {outcome.version:12} {outcome.result:8} {outcome.seconds:6.1f} s  {told}"


def summary(outcomes: list[Outcome]) -> str:
    """``N passed, N failed`` and how many could not be installed."""
    counts = Counter(outcome.result for outcome in outcomes)
    return f"{counts[PASSED]} passed, {counts[FAILED]} failed, {counts[NOT_INSTALLABLE]} not installable here"


def markdown(outcomes: list[Outcome], sound: bool) -> str:
    """The page that users see."""
    rows = [
        f"| {outcome.client.name} | {outcome.version or '–'} | {outcome.client.does} | {_result(outcome)} |"
        for outcome in outcomes
    ]
    return "\n".join(
        [
            "# Clients",
            "",
            "Made by `python -m conformance.clients --write docs/clients.md`: unmodified clients against a gateway",
            f"over a socket, last on {datetime.date.today():%Y-%m-%d}. {summary(outcomes)}. Afterwards",
            f"`nexus fsck --rehash` found catalog and store {'whole' if sound else '**damaged**'}.",
            "",
            "| client | version | what it did | |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _result(outcome: Outcome) -> str:
    if outcome.result == PASSED:
        return PASSED
    reason = outcome.reason.strip().splitlines()[0].replace("|", "\\|")[:200]
    return f"{outcome.result}: {reason}" if outcome.result == NOT_INSTALLABLE else f"**{outcome.result}**"
