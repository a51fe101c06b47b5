"""Schema migrations: numbered SQL files, each applied once and in order, in one transaction with its record."""

from __future__ import annotations

import sqlite3
from importlib import resources

from gateway.errors import GatewayError


class CatalogTooNew(GatewayError):
    """The catalog was written by a newer release than this one."""


def migrations() -> list[tuple[int, str]]:
    """Every migration as (number, SQL), in order."""
    folder = resources.files("gateway.catalog") / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name.split("_")[0]), (folder / name).read_text()) for name in names]


def migrate(conn: sqlite3.Connection) -> None:
    """Bring a catalog to this release's schema. The caller holds the write lock.

    Raises CatalogTooNew when the catalog knows migrations that this release does not.
    """
    conn.execute("CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY)")
    done = {number for (number,) in conn.execute("SELECT number FROM schema_migrations")}
    known = migrations()
    if done and max(done) > known[-1][0]:
        raise CatalogTooNew(
            f"the catalog has schema {max(done)}, this release knows {known[-1][0]}: upgrade the gateway"
        )
    for number, script in known:
        if number in done:
            continue
        conn.execute("BEGIN IMMEDIATE")
        try:
            for statement in script.split(";\n"):
                if statement.strip():
                    conn.execute(statement)
            conn.execute("INSERT INTO schema_migrations VALUES (?)", (number,))
            conn.execute("COMMIT")
        except BaseException:
            conn.execute("ROLLBACK")
            raise
