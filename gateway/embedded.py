"""The gateway inside another program, for ``nexus.connect()`` without a server: the same application, reached by nobody
but that program.

It listens on a socket in a directory that only this account can enter, and answers to a key that is in no catalog: it
lives in this process, and dies with it. Servers and other programs may work on the same data directory meanwhile.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
import threading
from pathlib import Path

import uvicorn

from gateway.app import CATALOG_FILE, Application
from gateway.core import Core
from gateway.errors import GatewayError
from gateway.serve import ADMIN, ServeError, first_set_up, hold, server_config
from gateway.settings import Settings
from gateway.types import Principal

START_SECONDS = 60.0
LONGEST_SOCKET = 100
"""The kernel's limit on a socket's path is a little more."""


class Embedded:
    """A gateway that runs until ``stop``."""

    def __init__(self, data_dir: Path) -> None:
        self.socket = ""
        self.api_key = ""
        self._settings = Settings(data_dir=data_dir)
        self._server: uvicorn.Server | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="nexus-embedded", daemon=True)

    def start(self) -> None:
        """Start, and set the data directory up where it is empty. Raises ServeError with what is wrong."""
        self._thread.start()
        started = self._ready.wait(START_SECONDS)
        if self._failure is not None:
            self._thread.join()
            raise ServeError(f"{self._settings.data_dir}: {self._failure}") from self._failure
        if not started:
            raise ServeError(f"{self._settings.data_dir}: it did not start within {START_SECONDS:.0f} s")

    def stop(self) -> None:
        """Finish what was accepted, and release everything. A second time does nothing."""
        if self._server is not None:
            self._server.should_exit = True
            self._server = None
            self._thread.join()

    def _run(self) -> None:
        folder = _private_folder()
        try:
            with hold(self._settings.data_dir, alone=False):
                if not (self._settings.data_dir / CATALOG_FILE).exists():
                    asyncio.run(first_set_up(self._settings, ADMIN, with_key=False))
                self._serve(str(folder / "socket"))
        except BaseException as error:  # whatever it is, ``start`` tells it; uvicorn leaves by SystemExit
            self._failure = error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._ready.set()

    def _serve(self, path: str) -> None:
        config = server_config(self._settings, Application(self._settings, ready=self._lend))
        config.uds = path
        server = _Announcing(config, self._ready)
        self.socket, self._server = path, server
        server.run()
        if not server.started:
            raise GatewayError("the gateway could not start; the log says why")

    async def _lend(self, core: Core) -> None:
        admins = [user for user in await core.users.list_users() if user.is_admin and not user.disabled]
        if not admins:
            raise GatewayError("it has no admin: nexus admin recover makes one")
        admin = min(admins, key=lambda user: (user.created_at, user.id))
        owner = Principal(admin.id, admin.display_name, admin.canonical_id, admin.tenant, True, "")
        self.api_key = core.keyring.lend(owner)


class _Announcing(uvicorn.Server):
    """A server that says when it accepts."""

    def __init__(self, config: uvicorn.Config, ready: threading.Event) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready.set()


def _private_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nexus-"))
    if len(str(folder)) < LONGEST_SOCKET:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="nexus-", dir="/tmp"))


def start(data_dir: str) -> Embedded:
    """A gateway on a data directory, started. Raises ServeError."""
    embedded = Embedded(Path(data_dir))
    embedded.start()
    return embedded
