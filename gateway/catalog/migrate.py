"""Schema migrations: numbered SQL files, each applied once and in order, in one transaction with its record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

from gateway.errors import GatewayError


class CatalogTooNew(GatewayError):
    """The catalog was written by a newer release than this one."""


def migrations() -> list[tuple[int, str]]:
    """Every migration as (number, SQL), in order."""
    folder = resources.files("gateway.catalog") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name.split("_")[0]), (folder / name).read_text()) for name in names]


class CatalogNotMigrated(GatewayError):
    """The catalog could not be brought to this release's schema, and is as it was before."""


def migrate(conn: sqlite3.Connection) -> None:
    """Bring a catalog to this release's schema. The caller holds the write lock.

    Raises CatalogTooNew when it knows migrations that this release does not, CatalogNotMigrated when one fails.
    """
    conn.execute("CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY)")
    done = {number for (number,) in conn.execute("SELECT number FROM schema_migrations")}
    known = migrations()
    if done and max(done) > known[-1][0]:
        raise CatalogTooNew(
            f"the catalog has schema {max(done)}, this release knows {known[-1][0]}: upgrade the gateway"
        )
    missing = [each for each in known if each[0] not in done]
    if missing:
        with _sparing(conn):
            for number, script in missing:
                _apply(conn, number, script)


def _apply(conn: sqlite3.Connection, number: int, script: str) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        for statement in script.split(";\n"):
            if statement.strip():
                conn.execute(statement)
        conn.execute("INSERT INTO schema_migrations VALUES (?)", (number,))
        conn.execute("COMMIT")
    except BaseException as error:
        if conn.in_transaction:  # a disk that is full or fails may have ended it
            conn.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise CatalogNotMigrated(
                f"the catalog could not be brought to schema {number} and is as it was: {error}"
                " (rewriting it takes four times its size for a while)"
            ) from error
        raise


@contextmanager
def _sparing(conn: sqlite3.Connection) -> Iterator[None]:
    """Let a large catalog be written anew in little memory and with no more of the disk than must be.

    What is sorted lies in files beside the catalog, where for queries memory is best; what is dropped is not
    overwritten.
    """
    folder = Path(conn.execute("PRAGMA database_list").fetchall()[0][2]).parent
    before = {name: conn.execute(f"PRAGMA {name}").fetchall()[0][0] for name in ("temp_store", "secure_delete")}
    conn.execute(f"PRAGMA temp_store_directory = '{str(folder).replace(chr(39), 2 * chr(39))}'")
    conn.execute("PRAGMA temp_store = FILE")
    conn.execute("PRAGMA secure_delete = FAST").fetchall()
    try:
        yield
        with suppress(sqlite3.Error):  # the log, as long as all that was written anew, would stay so
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        for name, value in before.items():
            conn.execute(f"PRAGMA {name} = {value}").fetchall()
        conn.execute("PRAGMA temp_store_directory = ''")
