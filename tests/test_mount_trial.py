"""Trials of stores leave nothing behind, whatever became of their steps."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

from backends.base import StoreUnavailable
from backends.local_native import LocalNative
from backends.native import ANYTHING, Expected, NativeAttributes, NativeObject
from gateway.mount_trial import FAILED, PASSED, SKIPPED, try_native


class Forgetful(LocalNative):
    """Writes, and loses the answer."""

    async def write(
        self, key: str, body: AsyncIterator[bytes], attributes: NativeAttributes, expected: Expected = ANYTHING
    ) -> NativeObject:
        await super().write(key, body, attributes, expected)
        raise StoreUnavailable("the answer got lost")


async def test_a_write_that_failed_and_arrived_is_removed(tmp_path: Path) -> None:
    store = Forgetful(tmp_path)
    trial = await try_native(store, readonly=False)
    await store.close()
    outcomes = {step.name: step.outcome for step in trial.steps}
    assert (outcomes["write"], outcomes["look"], outcomes["delete"]) == (FAILED, SKIPPED, PASSED)
    assert not trial.passed and os.listdir(tmp_path) in ([], [".nexus"])
