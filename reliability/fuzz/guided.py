"""Cases chosen by coverage, with atheris where it is installed: it needs a compiler's runtime and is no dependency."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

from reliability.fuzz.target import Target, batch_of


def fuzz(target: Target) -> int:
    """Run until a finding, beginning with cases that the target made; what was learnt is lost at the end."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        print("atheris is not installed: pip install atheris")
        return 2
    loop = asyncio.new_event_loop()
    loop.run_until_complete(target.open())
    rng = batch_of(target.name, 1, 0)

    def check(case: bytes) -> None:
        waiting: Any = target.check(case)
        if waiting is not None:
            loop.run_until_complete(waiting)

    def mutate(case: bytes, most: int, seed: int) -> bytes:
        made = atheris.Mutate(case, most) if rng.random() < 0.7 else target.generate(rng)
        return bytes(made[:most])

    atheris.instrument_all()
    atheris.Setup([sys.argv[0]], check, custom_mutator=mutate)
    atheris.Fuzz()
    return 0
