"""A whole gateway in this process, for cases that are to reach storage, and the state that refusals must leave alone.

It knows one key whose secret the cases are signed with, and its clock stands still: so a case stays what it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway.app import CATALOG_FILE, Application
from gateway.auth.sigv4 import Credential
from gateway.bucket_configs import POLICY, PUBLIC_ACCESS_BLOCK
from gateway.core import Core
from gateway.errors import BucketNotFound
from gateway.serve import first_set_up
from gateway.settings import Settings
from gateway.types import Principal
from reliability.fuzz.signing import ACCESS_KEY, NOW, SECRET, USER
from reliability.fuzz.target import Finding
from reliability.fuzz.wire import Wires, statuses

BUCKETS = ("bucket", "sentinel")

_NEVER: dict[str, Any] = {"log_delivery_seconds": 1e6, "lifecycle_interval": 1e6, "gc_interval": 1e6}
"""Nothing happens by itself: what changes, a case has changed."""
_LOG = logging.getLogger("nexus")
_BESIDES = frozenset({"meta", "audit_log", "audit_head", "api_keys", "garbage", "blobs", "migrations"})
"""Tables that a refusal may change: what was refused is audited, keys are used, and blobs without a name go in time."""


class Gateway:
    """An application on a data directory of its own, made when it is opened, and a look at its catalog from outside."""

    def __init__(self) -> None:
        self._folder: Path
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._baseline = ""
        self._version = -1
        self.core: Core = None  # type: ignore[assignment]  # until it is open
        self.api_key = ""

    async def open(self) -> None:
        self._log_level = _LOG.level
        _LOG.setLevel(logging.CRITICAL)
        self._folder = Path(tempfile.mkdtemp(prefix="nexus-fuzz-"))
        settings = Settings(
            data_dir=self._folder,
            durability="none",
            s3_domains=("s3.test",),
            default_ownership="ObjectWriter",
            **_NEVER,
        )
        await first_set_up(settings, "admin", with_key=False)
        self._application = Application(settings, ready=self._ready)
        started = asyncio.Event()
        failed: list[str] = []

        async def send(message: dict[str, Any]) -> None:
            if message["type"].endswith("failed"):
                failed.append(message["message"])
            started.set()

        self._events.put_nowait({"type": "lifespan.startup"})
        self._life = asyncio.create_task(self._application({"type": "lifespan"}, self._events.get, send))
        await started.wait()
        if failed:
            raise RuntimeError(failed[0])
        door = self._application._s3
        assert door is not None
        door._verifier._clock = lambda: NOW
        self._wires = Wires(self._application)
        self._catalog = sqlite3.connect(self._folder / CATALOG_FILE)
        self.rebase()

    async def _ready(self, core: Core) -> None:
        self.core = core
        user = await core.users.create_user(USER.user_id, USER.display_name)
        owner = Principal(user.id, user.display_name, user.canonical_id, user.tenant, False, ACCESS_KEY)
        self.api_key = core.keyring.lend(owner)
        find = core.keyring.find

        async def known(access_key: str) -> Credential | None:
            return Credential(SECRET, owner) if access_key == ACCESS_KEY else await find(access_key)

        core.keyring.find = known  # type: ignore[method-assign,assignment]
        for name in BUCKETS:
            await core.buckets.create(name, owner)

    async def play(self, pieces: Iterable[bytes]) -> list[int]:
        """Send a case; the statuses of the answers. Raises Finding for a 5xx, and for what a refusal left behind."""
        wire = await self._wires.play(piece.replace(b"API-KEY", self.api_key.encode()) for piece in pieces)
        found = statuses(b"".join(wire.sent))
        for status in found:
            if status >= 500 and status != 501:
                raise Finding(f"the gateway answered {status}")
        if wire.unanswered or not found or any(100 < status < 400 for status in found):
            self.rebase()
        else:
            self._compare(found)
        return found

    async def forget(self) -> None:
        """Take back what accepted cases may have forbidden all others by."""
        for name in BUCKETS:
            with contextlib.suppress(BucketNotFound):
                bucket = await self.core.buckets.find(name)
                for config in (POLICY, PUBLIC_ACCESS_BLOCK):
                    if config in bucket.configs:
                        await self.core.buckets.set_config(bucket, config, None)
        self.rebase()

    def _compare(self, found: list[int]) -> None:
        version = self._data_version()
        if version == self._version:
            return
        state, self._version = self._state(), version
        if state != self._baseline:
            self._baseline = state
            raise Finding(f"what was refused with {found} changed the catalog")

    def rebase(self) -> None:
        """Take the present state for what refusals have to leave."""
        self._version, self._baseline = self._data_version(), self._state()

    def _data_version(self) -> int:
        version: int = self._catalog.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _state(self) -> str:
        digest = hashlib.sha256()
        with closing(self._catalog.cursor()) as cursor:
            names = cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            for (name,) in names:
                if name not in _BESIDES and not name.startswith("sqlite_"):
                    for row in cursor.execute(f'SELECT * FROM "{name}"'):
                        digest.update(repr(row).encode())
        return digest.hexdigest()

    async def close(self) -> None:
        """End, and see that nothing is damaged, and that what has no name was garbage and went."""
        _LOG.setLevel(self._log_level)
        try:
            await self.core.collector.run(0)
            stored = self._catalog.execute("SELECT count(*) FROM blobs").fetchone()[0]
            named = self._catalog.execute(
                "SELECT count(*) FROM (SELECT digest FROM objects WHERE digest IS NOT NULL UNION "
                "SELECT digest FROM versions WHERE digest IS NOT NULL UNION "
                "SELECT digest FROM parts WHERE digest IS NOT NULL UNION SELECT digest FROM manifest_blocks)"
            ).fetchone()[0]
            if stored > named:
                raise Finding(f"{stored} blobs are kept for {named} that have a name")
            report = await self.core.checker.run(rehash=True)
            if report.exit_code:
                raise Finding(f"the check of the store says {report!r:.500}")
        finally:
            self._catalog.close()
            self._events.put_nowait({"type": "lifespan.shutdown"})
            await self._life
            shutil.rmtree(self._folder, ignore_errors=True)
