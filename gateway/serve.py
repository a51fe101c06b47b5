"""Running the gateway: the first set-up, the listening socket, and its worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import gc
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import heap
from gateway.errors import GatewayError
from gateway.folders import make_folder
from gateway.http.crowd import Crowd, Doors
from gateway.http.deadlines import Patience, Watch
from gateway.settings import Settings

if TYPE_CHECKING:
    import uvicorn

    from gateway.app import Application
    from gateway.auth.credentials import NewKey

ADMIN = "admin"
WORKSPACE = "/workspace"
STORE_FOLDER = "store"
BACKLOG = 2048
MIN_CONNECTIONS, MAX_CONNECTIONS = 64, 8192
KEPT_DESCRIPTORS, DESCRIPTORS_EACH = 256, 2
"""Descriptors that are not for connections, and how many each of those may come to: its own, and a file's."""
HURRIED = 1
"""The status of a server that did not finish what was under way."""
SWITCH_SECONDS = 0.0005


log = logging.getLogger("nexus.serve")


class ServeError(GatewayError):
    """The gateway cannot start; the message says why and what to do."""


def run(settings: Settings, *, init: bool, admin: str = ADMIN, reset: bool = False) -> None:
    """Serve until a signal says stop; with ``reset``, delete first what is there.

    Raises ServeError before anything is changed where that can be known.
    """
    from gateway.app import CATALOG_FILE
    from gateway.identity import is_user_id

    if not is_user_id(admin):
        raise ServeError(f"{admin!r} is no user's id: it has 1 to 64 letters, digits and . _ @ -")
    start_logging(settings)
    _check_master_key(settings)
    with _listen(settings.host, settings.port, settings.workers) as listeners:
        if reset:
            from gateway import recovery

            recovery.reset(settings.data_dir)
        fresh = not (settings.data_dir / CATALOG_FILE).exists()
        if fresh and not init:
            raise ServeError(f"{settings.data_dir} is empty: start with --init, which sets it up and prints the key")
        with hold(settings.data_dir, alone=False):
            if fresh:
                set_up(settings, admin)
            elif init:
                print(
                    f"{settings.data_dir} is set up already; nothing was changed. "
                    "For another key, while it serves: nexus admin create-user-key admin; "
                    "where no key is left: nexus admin recover",
                    flush=True,
                )
            if settings.mounts_file is not None:
                reconcile_mounts(settings, settings.mounts_file)
            print(f"Nexus Gateway serves http://{settings.host}:{settings.port}; Ctrl-C stops it.", flush=True)
            _serve(settings, listeners)


def _check_master_key(settings: Settings) -> None:
    """Raise ServeError where the environment has a master key that is none, before anything is made with it."""
    from gateway.auth.credentials import MasterKeyError, load_master_key

    text = settings.master_key_text()
    if text is not None and text.strip():
        try:
            load_master_key(text, settings.data_dir)
        except MasterKeyError as error:
            raise ServeError(str(error)) from None


def start_logging(settings: Settings) -> None:
    """Log to standard error, every line with the same kind of time: UTC, to the second."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
    )
    for quiet in ("httpx", "botocore", "asyncio"):
        logging.getLogger(quiet).setLevel(logging.WARNING)


@contextmanager
def _listen(host: str, port: int, workers: int) -> Iterator[Sequence[socket.socket]]:
    """The socket that each worker accepts from.

    One for each, among which the kernel spreads connections: from one that they share, whoever wakes first takes all
    that wait. Where the kernel spreads nothing, they do share one.
    """
    with ExitStack() as stack:
        spreads = sys.platform == "linux" and workers > 1
        if spreads:
            with _bound(host, port) as alone:  # a port that others listen on, another gateway say, is not for sharing
                port = alone.getsockname()[1]  # of --port 0 too, all get the same
        listeners = [stack.enter_context(_bound(host, port, shared=spreads)) for _ in range(workers if spreads else 1)]
        for listener in listeners:
            listener.listen(BACKLOG)
            listener.set_inheritable(True)
        yield listeners if spreads else listeners * workers


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServeError(f"{host}:{port} is in use by another process; choose another --port") from None
        raise ServeError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


@contextmanager
def hold(data_dir: Path, *, alone: bool) -> Iterator[None]:
    """Hold a data directory: with other servers, or ``alone``. Raises ServeError when that cannot be."""
    try:
        make_folder(data_dir)
        fd = os.open(data_dir / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServeError(f"{data_dir} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        reason = "a server is running on it" if alone else "maintenance is under way on it"
        raise ServeError(f"{data_dir}: {reason}") from None
    finally:
        os.close(fd)


def set_up(settings: Settings, admin_id: str = ADMIN) -> None:
    """Make the admin, the first mounts and the bucket, and print the key: the only time that it is shown."""
    key = asyncio.run(first_set_up(settings, admin_id, with_key=True))
    assert key is not None
    print(f"Admin user created: {admin_id}\nSave this key now: it is not shown again.")
    print(f"API key: {key.api_key}")
    print(f"export AWS_ACCESS_KEY_ID={key.access_key_id}")
    print(f"export AWS_SECRET_ACCESS_KEY={key.secret}", flush=True)


async def first_set_up(settings: Settings, admin_id: str, *, with_key: bool) -> NewKey | None:
    """Make the admin, the first mounts and the bucket; a key for the admin, where that is wanted."""
    from gateway.app import open_core
    from gateway.audit.deeds import by_machine, judged
    from gateway.types import Principal

    deed = by_machine("init", admin_id)
    async with open_core(settings) as core, core.audit.recording(deed, judged):
        admin = await core.users.create_user(admin_id, "Administrator", is_admin=True)
        owner = Principal(admin.id, admin.display_name, admin.canonical_id, admin.tenant, True, "")
        store = {"data_dir": str(settings.data_dir / STORE_FOLDER)}
        await core.mounts.add("/", "local", store, owner=owner)
        await core.mounts.add(WORKSPACE, "local", store, owner=owner)
        return await core.users.create_key(admin_id, "initial") if with_key else None


def reconcile_mounts(settings: Settings, path: Path) -> None:
    """Make the mounts what a file declares. Raises ServeError, and then nothing was changed."""
    from gateway.app import open_core
    from gateway.audit.deeds import by_machine, judged
    from gateway.declared_mounts import Change
    from gateway.errors import BadMount
    from gateway.mounts_file import read
    from gateway.types import Principal

    async def apply() -> list[Change]:
        declared = read(path)
        async with open_core(settings) as core:
            if not await core.declared_mounts.plan(declared.name, declared.mounts):
                return []
            admins = [user for user in await core.users.list_users() if user.is_admin and not user.disabled]
            if not admins:
                raise ServeError("no admin is left, who would own new buckets: nexus admin recover")
            admin = min(admins, key=lambda user: (user.created_at, user.id))
            owner = Principal(admin.id, admin.display_name, admin.canonical_id, admin.tenant, True, "")
            async with core.audit.recording(by_machine("apply_mounts", str(path)), judged):
                return await core.declared_mounts.apply(declared.name, declared.mounts, owner)

    try:
        changes = asyncio.run(apply())
    except BadMount as error:
        raise ServeError(str(error)) from None
    for change in changes:
        print(f"Mounts: {change.action} {change.mount_point} ({change.backend_type})", flush=True)


# -- processes


def _serve(settings: Settings, listeners: Sequence[socket.socket]) -> None:
    if settings.workers == 1:
        serve_in_process(settings, listeners[0])
        return
    from gateway.supervisor import supervise

    if not supervise(settings, listeners):
        raise SystemExit(HURRIED)


def serve_in_process(
    settings: Settings,
    listener: socket.socket,
    worker: int = 0,
    stopped_by: Collection[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
) -> None:
    """Serve from this process until a signal; what is under way then is finished, unless another one comes."""
    from gateway.app import Application
    from gateway.http.server import Server

    tune_process()
    raise_descriptors()
    server = Server(server_config(settings, Application(settings, worker)), stopped_by)
    server.run(sockets=[listener])
    if not server.started:
        raise ServeError("the gateway could not start; the log says why")
    if server.force_exit:
        raise SystemExit(HURRIED)


def _patience(settings: Settings) -> Patience:
    return Patience(
        head=settings.head_timeout,
        idle=settings.idle_timeout,
        body=settings.body_timeout,
        answer=settings.answer_timeout,
        rate=settings.min_body_rate,
        head_bytes=settings.max_head_size,
    )


def raise_descriptors() -> None:
    """Use all the descriptors that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _crowd(settings: Settings, doors: Doors) -> Crowd:
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = max(MIN_CONNECTIONS, (descriptors - KEPT_DESCRIPTORS) // DESCRIPTORS_EACH)
    limit = settings.max_connections or min(most, MAX_CONNECTIONS)
    if limit > most:
        log.warning("NEXUS_MAX_CONNECTIONS is %d, but %d descriptors are enough for %d", limit, descriptors, most)
    return Crowd(limit, doors=doors)


def server_config(settings: Settings, application: Application) -> uvicorn.Config:
    import uvicorn

    from gateway.http.connection import Connection

    crowd = application.clients = _crowd(settings, application)
    protocol = partial(Connection, patience=_patience(settings), watch=Watch(), crowd=crowd)
    return uvicorn.Config(
        application,
        interface="asgi3",
        loop="uvloop",
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        backlog=BACKLOG,
    )


def tune_process() -> None:
    """Settings of the process that measurement favours."""
    heap.tune()
    # The event loop gives the interpreter's lock away with each read and write, and has to wait so long to get it back
    # while threads hash and store: with Python's own 5 ms, a thousand busy clients make answers take seconds.
    sys.setswitchinterval(SWITCH_SECONDS)
    # What start-up made stays; a request makes few cycles, so looking for them rarely is enough.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
