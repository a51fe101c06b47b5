"""All that a run found, which can be kept as JSON and made a page of later."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.results import Cell


@dataclass
class Findings:
    """What was measured, on which servers, on what machine."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    idle_mib: dict[str, float] = field(default_factory=dict)
    """Memory of a server that has just started, and has answered a few requests."""
    notes: list[str] = field(default_factory=list)
    """What could not be measured, and why."""
    cells: list[Cell] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            print(text, flush=True)
            self.notes.append(text)

    def save(self, path: Path) -> None:
        kept = {name: getattr(self, name) for name in ("machine", "versions", "idle_mib", "notes")}
        path.write_text(json.dumps({**kept, "cells": [cell.as_json() for cell in self.cells]}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Findings:
        kept = json.loads(path.read_text())
        return cls(**{**kept, "cells": [Cell.read(row) for row in kept["cells"]]})
