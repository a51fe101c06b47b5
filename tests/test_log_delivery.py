"""Delivering access logs to a target that cannot be written."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest

from gateway.bucket_configs import LOGGING
from gateway.core import Core
from gateway.log_delivery import FULL_BYTES, MAX_PILE, LogDelivery
from gateway.server_logs import LogTarget
from gateway.types import Bucket


class Down:
    """A core whose catalog does not answer."""

    catalog = objects = cast(Any, None)

    def __init__(self) -> None:
        self.asked = 0

    @property
    def names(self) -> Down:
        return self

    async def bucket(self, name: str) -> Bucket:
        self.asked += 1
        raise OSError("down")


def source(name: str) -> Bucket:
    return Bucket(1, name, "u", "t", 0, "us-east-1", configs={LOGGING: LogTarget("target").dump()})


async def test_what_cannot_be_written_waits_for_its_time() -> None:
    down = Down()
    delivery = LogDelivery(cast(Core, down), seconds=3600)
    delivery.add(source("a"), "x" * FULL_BYTES, 0)
    running = asyncio.create_task(delivery.run_forever())
    for _ in range(100):
        delivery.add(source("a"), "more", 0)
        await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert down.asked == 1


async def test_one_target_does_not_take_the_room_of_all(caplog: pytest.LogCaptureFixture) -> None:
    delivery = LogDelivery(cast(Core, Down()), seconds=3600)
    line = "x" * (1024 * 1024)
    for _ in range(40):
        delivery.add(source("a"), line, 0)
    delivery.add(source("b"), line, 0)
    await delivery.deliver()
    dropped = 40 - MAX_PILE // len(line)
    assert f"{dropped} access log records were dropped" in caplog.text
    assert "access logs of b wait" in caplog.text
