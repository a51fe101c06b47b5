"""A target whose cases also go through a whole gateway, each as the request that brings it there."""

from __future__ import annotations

from random import Random
from typing import Protocol

from reliability.fuzz.gateway import Gateway
from reliability.fuzz.target import Target, split

FORGIVING = 50
"""Sent cases after which what forbids others is taken back."""


class Sendable(Target, Protocol):
    """A target whose cases can be sent."""

    def request(self, case: bytes) -> bytes:
        """What a client sends to have a gateway read the case."""


class Through:
    """Checks as its target does, and sends one in ``every`` cases."""

    def __init__(self, target: Sendable, every: int) -> None:
        self.name = target.name
        self._target = target
        self._every = every
        self._count = 0
        self._gateway = Gateway()
        self.answers: dict[int, int] = {}
        """How often the gateway answered what."""

    async def open(self) -> None:
        await self._target.open()
        await self._gateway.open()

    def generate(self, rng: Random) -> bytes:
        return self._target.generate(rng)

    async def check(self, case: bytes) -> None:
        waiting = self._target.check(case)
        if waiting is not None:
            await waiting
        self._count += 1
        if self._count % self._every:
            return
        if self._count % (self._every * FORGIVING) == 0:
            await self._gateway.forget()
        for status in await self._gateway.play(split(self._target.request(case), most=4)):
            self.answers[status] = self.answers.get(status, 0) + 1

    async def close(self) -> None:
        try:
            await self._target.close()
        finally:
            await self._gateway.close()
