"""Several worker processes on one port: started, watched, restarted, stopped together.

Each accepts from a socket of its own, which is kept open here: who connects while a worker is started again waits for
that, and is not refused.
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from gateway.settings import Settings

log = logging.getLogger("nexus.supervisor")

SETTINGS_VARIABLE = "NEXUS_WORKER_SETTINGS"
SOCKET_VARIABLE = "NEXUS_WORKER_SOCKET"
NUMBER_VARIABLE = "NEXUS_WORKER_NUMBER"
PARENT_VARIABLE = "NEXUS_WORKER_PARENT"
RESTART_SECONDS = 0.5
ENDING_SECONDS = 0.1
LEAVING_SECONDS = 10
"""How long a worker may take to close its files once its requests are finished."""
PR_SET_PDEATHSIG = 1


class _Supervisor:
    def __init__(self, settings: Settings, listeners: Sequence[socket.socket]) -> None:
        self._count = settings.workers
        self._grace = settings.shutdown_timeout + LEAVING_SECONDS
        self._listeners = listeners
        mine = {SETTINGS_VARIABLE: settings.for_worker(), PARENT_VARIABLE: str(os.getpid())}
        self._environment = {**os.environ, **mine}
        self._workers: list[subprocess.Popen[bytes]] = []
        self._signals = 0
        self._bell, self._ring = os.pipe()
        """What a signal wakes the supervisor by: a handler may not touch a lock that it may have interrupted."""

    def run(self) -> bool:
        """Whether the workers ended well, having finished what was under way."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._workers = [self._start(number) for number in range(self._count)]
        while not self._signals:
            self._restart_dead()
            self._sleep(RESTART_SECONDS)
        return self._end()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        listener = self._listeners[number].fileno()
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.supervisor"],
            env={**self._environment, NUMBER_VARIABLE: str(number), SOCKET_VARIABLE: str(listener)},
            pass_fds=(listener,),
            stdin=subprocess.DEVNULL,
        )

    def _restart_dead(self) -> None:
        for index, worker in enumerate(self._workers):
            if worker.poll() is not None and not self._signals:
                log.error("worker %d ended with %d and is started again", worker.pid, worker.returncode)
                self._workers[index] = self._start(index)

    def _sleep(self, seconds: float) -> None:
        """Until a signal comes, at most so long."""
        if select.select([self._bell], [], [], seconds)[0]:
            os.read(self._bell, 64)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        os.write(self._ring, b"!")

    def _end(self) -> bool:
        for listener in self._listeners:
            listener.close()  # or who connects now would wait for nobody
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + self._grace
        while any([worker.poll() is None for worker in self._workers]):
            if self._signals > 1 or time.monotonic() > deadline:
                for worker in self._workers:
                    worker.kill()
                    worker.wait()
                return False
            self._sleep(ENDING_SECONDS)
        return True


def supervise(settings: Settings, listeners: Sequence[socket.socket]) -> bool:
    """Run a worker for each socket until SIGTERM or SIGINT; whether each finished then what was under way."""
    return _Supervisor(settings, listeners).run()


def work() -> None:
    """A worker process: serve from the inherited socket."""
    from gateway.serve import serve_in_process, start_logging

    # A worker never outlives its supervisor, however that ended.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(os.environ.pop(PARENT_VARIABLE)):  # it ended before that; in a container it is process 1
        raise SystemExit(1)
    # Ctrl-C reaches all processes of a terminal; what it means is the supervisor's to say, which tells the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    number = int(os.environ.pop(NUMBER_VARIABLE))
    settings = Settings.model_validate_json(os.environ.pop(SETTINGS_VARIABLE))
    start_logging(settings)
    listener = socket.socket(fileno=int(os.environ.pop(SOCKET_VARIABLE)))
    serve_in_process(settings, listener, number, stopped_by=(signal.SIGTERM,))


if __name__ == "__main__":
    work()
