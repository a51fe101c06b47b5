"""The catalog's generation, read once per turn of the event loop.

A request needs it several times: for its key, its bucket, its mount. All that happens in one turn, between two
looks at the sockets, belongs to the same moment; so one look-up serves it, and the next turn looks again. What a
request learns of after a change was acknowledged is therefore always the change.
"""

from __future__ import annotations

import asyncio

from gateway.catalog import config
from gateway.catalog.base import Catalog


class Generation:
    """Tells the generation of the configuration that holds now."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.at_hand: int | None = None
        """The generation, where it was looked up in this turn: who finds it here need not await it."""

    async def current(self) -> int:
        if self.at_hand is not None:
            return self.at_hand
        value = await self._catalog.find(config.GENERATION)
        self.at_hand = value
        asyncio.get_running_loop().call_soon(self.forget)
        return value

    def forget(self) -> None:
        """Look again at the next call: a change was made here just now."""
        self.at_hand = None
