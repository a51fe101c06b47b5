"""What is done with a data directory itself, by whoever owns its files: a new admin key, and starting over.

Both need no key: who can read the master key and write the catalog can do everything anyhow.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.auth.credentials import NewKey
from gateway.core import Core
from gateway.folders import sync_folder
from gateway.serve import ADMIN, STORE_FOLDER, ServeError, hold
from gateway.settings import Settings
from gateway.types import User


def recover(settings: Settings, user_id: str | None) -> tuple[User, NewKey]:
    """Mint a key for an admin, the oldest where none is named, also while servers run: they know it at once.

    Raises ServeError where this is no data directory of ours, and MasterKeyError where its master key is another.
    """
    from gateway.app import CATALOG_FILE, MASTER_KEY_FILE, open_core
    from gateway.audit.deeds import by_machine, judged

    data_dir = settings.data_dir
    if not (data_dir / CATALOG_FILE).exists():
        raise ServeError(f"{data_dir} is no data directory: it has no {CATALOG_FILE}")
    if settings.master_key_text() is None and not (data_dir / MASTER_KEY_FILE).exists():
        raise ServeError(f"the master key is not here: neither {data_dir / MASTER_KEY_FILE} nor NEXUS_MASTER_KEY")

    async def mint() -> tuple[User, NewKey]:
        async with open_core(settings) as core:
            user = await _admin(core, user_id)
            async with core.audit.recording(by_machine("recover_admin", user.id), judged):
                return user, await core.users.create_key(user.id, "recovered")

    # A schema is not changed under a server that runs.
    with hold(data_dir, alone=_is_behind(data_dir / CATALOG_FILE)):
        return asyncio.run(mint())


async def _admin(core: Core, user_id: str | None) -> User:
    users = [user for user in await core.users.list_users() if user.is_admin and not user.disabled]
    if user_id is None:
        if not users:
            return await core.users.create_user(ADMIN, "Administrator", is_admin=True)
        return min(users, key=lambda user: (user.created_at, user.id))
    found = next((user for user in users if user.id == user_id), None)
    if found is None:
        raise ServeError(f"{user_id} is no admin; admins are {', '.join(user.id for user in users) or 'none'}")
    return found


def _is_behind(catalog: Path) -> bool:
    from gateway.catalog.migrate import migrations

    with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as conn:
        done = {number for (number,) in conn.execute("SELECT number FROM schema_migrations")}
    return any(number not in done for number, _ in migrations())


# -- starting over


def leavings(data_dir: Path) -> list[Path]:
    """What ``reset`` deletes: the catalog, the master key and the first store; nothing else that lies there."""
    return sorted(_leavings(data_dir))


def _leavings(data_dir: Path) -> Iterator[Path]:
    from gateway.app import CATALOG_FILE, MASTER_KEY_FILE

    if data_dir.is_dir():
        ours = (f"{CATALOG_FILE}-", f"{CATALOG_FILE}.")
        for entry in data_dir.iterdir():
            if entry.name in (CATALOG_FILE, MASTER_KEY_FILE, STORE_FOLDER) or entry.name.startswith(ours):
                yield entry


def reset(data_dir: Path) -> None:
    """Delete them. Raises ServeError while a server runs on them."""
    from gateway.app import CATALOG_FILE

    with hold(data_dir, alone=True):
        # The catalog goes first: without it the rest is nobody's, and a second attempt finishes what this one began.
        for entry in sorted(leavings(data_dir), key=lambda entry: entry.name != CATALOG_FILE):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        sync_folder(data_dir)
