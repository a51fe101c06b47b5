"""The server that accepts connections, and how it ends.

uvicorn's, which tells the date and runs the application's lifespan, but for its end: the first signal lets what is
under way finish, and then the process ends well, where uvicorn dies by that signal; the second ends it at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Collection, Iterator
from types import FrameType

import uvicorn

HURRY_SECONDS = 3.0
"""How long the second signal leaves for closing files; nothing that was acknowledged depends on it."""

log = logging.getLogger("nexus.http")


class Server(uvicorn.Server):
    """Serves until one of ``stopped_by``."""

    def __init__(
        self, config: uvicorn.Config, stopped_by: Collection[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
    ) -> None:
        super().__init__(config)
        self._stopped_by = stopped_by

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self.handle_exit) for number in self._stopped_by}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if not self.should_exit:
            log.info("signal %d: finishing what is under way; another one ends it at once", sig)
            self.should_exit = True
        elif not self.force_exit:
            log.warning("signal %d again: ending at once", sig)
            self.force_exit = True
            # Whatever hangs, a thread in a store's client say, is not waited for.
            deadline = threading.Timer(HURRY_SECONDS, os._exit, (1,))
            deadline.daemon = True
            deadline.start()
