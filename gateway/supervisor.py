"""Several worker processes on one listening socket: started, watched, restarted, stopped together."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from types import FrameType

from gateway.settings import Settings

log = logging.getLogger("nexus.supervisor")

SETTINGS_VARIABLE = "NEXUS_WORKER_SETTINGS"
SOCKET_VARIABLE = "NEXUS_WORKER_SOCKET"
NUMBER_VARIABLE = "NEXUS_WORKER_NUMBER"
RESTART_SECONDS = 0.5
STOP_SECONDS = 40
PR_SET_PDEATHSIG = 1


class _Supervisor:
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._count = settings.workers
        self._listener = listener
        self._environment = {
            **os.environ,
            SETTINGS_VARIABLE: settings.for_worker(),
            SOCKET_VARIABLE: str(listener.fileno()),
        }
        self._workers: list[subprocess.Popen[bytes]] = []
        self._stopping = False

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._workers = [self._start(number) for number in range(self._count)]
        while not self._stopping:
            self._restart_dead()
            time.sleep(RESTART_SECONDS)
        self._end()

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "gateway.supervisor"],
            env={**self._environment, NUMBER_VARIABLE: str(number)},
            pass_fds=(self._listener.fileno(),),
            stdin=subprocess.DEVNULL,
        )

    def _restart_dead(self) -> None:
        for index, worker in enumerate(self._workers):
            if worker.poll() is not None and not self._stopping:
                log.error("worker %d ended with %d and is started again", worker.pid, worker.returncode)
                self._workers[index] = self._start(index)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _end(self) -> None:
        for worker in self._workers:
            worker.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            try:
                worker.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def supervise(settings: Settings, listener: socket.socket) -> None:
    """Run the workers until SIGTERM or SIGINT; each finishes what is under way."""
    _Supervisor(settings, listener).run()


def work() -> None:
    """A worker process: serve from the inherited socket."""
    from gateway.serve import serve_in_process, start_logging

    # A worker never outlives its supervisor, however that ended.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        raise SystemExit(1)
    number = int(os.environ.pop(NUMBER_VARIABLE))
    settings = Settings.model_validate_json(os.environ.pop(SETTINGS_VARIABLE))
    start_logging(settings)
    serve_in_process(settings, socket.socket(fileno=int(os.environ.pop(SOCKET_VARIABLE))), number)


if __name__ == "__main__":
    work()
