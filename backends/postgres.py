"""Blobs in two tables of a PostgreSQL database, for those who have nothing but a database.

A blob is a row of ``nexus_blobs`` and, as pieces of 1 MiB, rows of ``nexus_chunks``: measured, pieces of a quarter to
eight MiB are written and read alike, and what speaks PostgreSQL's protocol and keeps rows in its own way (CockroachDB,
YugabyteDB) wants them small. Pieces belong to one write of a blob (its *version*), so that a reader never mixes two.
Every change is one statement or one transaction, and what is acknowledged is committed.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg

from backends.base import ByteRange, StoreMisconfigured, StoreUnavailable
from backends.calls import Body
from backends.http import Nothing
from backends.postgres_server import Connection, Connections, Server, read_connections, read_server
from backends.remote import Entry, RemoteStore

T = TypeVar("T")

SCHEMA = "nexus"
CHUNK = 1024 * 1024
FETCH = 2 * CHUNK
"""What is asked for at once of a blob that is read in order."""
PAGE = 1000
AS_BYTES = "surrogateescape"
"""How keys that somebody else put there, and that are no text, pass through texts."""
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.nexus_blobs (
    key bytea PRIMARY KEY,
    version uuid NOT NULL UNIQUE,
    size bigint NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS {schema}.nexus_chunks (
    version uuid NOT NULL REFERENCES {schema}.nexus_blobs (version) ON DELETE CASCADE,
    n integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (version, n)
)
"""
AS_IT_IS = "ALTER TABLE {schema}.nexus_chunks ALTER COLUMN data SET STORAGE EXTERNAL"
"""Not compressed, so that part of a piece is read without the rest."""
CREATE = """
WITH made AS (
    INSERT INTO {schema}.nexus_blobs (key, version, size) VALUES (%(key)s, %(version)s, %(size)s)
    ON CONFLICT (key) DO NOTHING RETURNING version
)
INSERT INTO {schema}.nexus_chunks (version, n, data)
SELECT made.version, n, substring(%(content)s FROM n * %(chunk)s::int + 1 FOR %(chunk)s::int)
FROM made, generate_series(0, %(last)s::int) AS n
"""
REMOVE = "DELETE FROM {schema}.nexus_blobs WHERE key = %s"
FIND = "SELECT version, size, extract(epoch FROM stored_at)::float8 FROM {schema}.nexus_blobs WHERE key = %s"
OPEN = """
SELECT version, size, (SELECT sum(octet_length(data))::bigint FROM {schema}.nexus_chunks AS chunks
                       WHERE chunks.version = blobs.version)
FROM {schema}.nexus_blobs AS blobs WHERE key = %s
"""
PIECES = """
SELECT chunks.data FROM {schema}.nexus_blobs AS blobs JOIN {schema}.nexus_chunks AS chunks USING (version)
WHERE blobs.key = %s AND blobs.size = %s ORDER BY chunks.n
"""
SPAN = """
SELECT substring(data FROM greatest(%(start)s::bigint - n * %(chunk)s::bigint, 0)::int + 1
                 FOR (least(%(stop)s::bigint - n * %(chunk)s::bigint, %(chunk)s::bigint)
                      - greatest(%(start)s::bigint - n * %(chunk)s::bigint, 0))::int)
FROM {schema}.nexus_chunks WHERE version = %(version)s AND n BETWEEN %(first)s AND %(last)s ORDER BY n
"""
LIST = """
SELECT key, size, extract(epoch FROM stored_at)::float8 FROM {schema}.nexus_blobs
WHERE key > %s AND key < %s ORDER BY key LIMIT %s
"""
SETTINGS = """
SELECT current_setting('fsync', true), current_setting('transaction_read_only', true),
       has_table_privilege(%(blobs)s, 'SELECT') AND has_table_privilege(%(blobs)s, 'INSERT')
       AND has_table_privilege(%(blobs)s, 'DELETE') AND has_table_privilege(%(chunks)s, 'SELECT')
       AND has_table_privilege(%(chunks)s, 'INSERT')
"""


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no I/O."""
    server, schema = read_server(config), read_schema(config)
    return RemoteStore(PostgresTables(server, schema), "", timeout=server.timeout, threads=read_connections(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_server(config).address}/{read_schema(config)}"


def read_schema(config: Mapping[str, str]) -> str:
    schema = config.get("schema", SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise StoreMisconfigured(f"schema must be of lower-case letters, digits and '_': {schema}")
    return schema


class PostgresTables:
    """A Container of two tables."""

    def __init__(self, server: Server, schema: str) -> None:
        self._server = server
        self._schema = schema
        self._connections = Connections(server)
        self._made = False
        self._making = threading.Lock()

    def _sql(self, text: str) -> bytes:
        return text.format(schema=self._schema).encode()

    def _ask(self, text: str, values: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return self._with(lambda connection: self._rows(connection, text, values))

    def _rows(
        self, connection: Connection, text: str, values: Sequence[Any] | Mapping[str, Any]
    ) -> list[tuple[Any, ...]]:
        return connection.execute(self._sql(text), values, binary=True).fetchall()

    def _change(self, connection: Connection, text: str, values: Sequence[Any] | Mapping[str, Any]) -> int:
        return connection.execute(self._sql(text), values).rowcount

    def _with(self, work: Callable[[Connection], T]) -> T:
        with self._connections.one() as connection:
            try:
                if not self._made:
                    self._make(connection)
                return work(connection)
            except psycopg.errors.InsufficientPrivilege as error:
                raise self._denied(str(error.diag.message_primary)) from error

    # -- the tables

    def _make(self, connection: Connection) -> None:
        """Make schema and tables where they are missing; asked for once in a store's life."""
        with self._making:
            if self._made:
                return
            if not self._there(connection):
                try:
                    self._make_tables(connection)
                except psycopg.errors.InsufficientPrivilege as error:
                    raise StoreMisconfigured(
                        f"the database {self._server.address} refuses to make tables in the schema {self._schema!r}"
                        f" ({error.diag.message_primary}): CREATE SCHEMA {self._schema} AUTHORIZATION"
                        f" {self._server.user}, or GRANT CREATE ON DATABASE {self._server.dbname} TO"
                        f" {self._server.user}"
                    ) from error
            self._made = True

    def _there(self, connection: Connection) -> bool:
        names = [f"{self._schema}.{table}" for table in ("nexus_blobs", "nexus_chunks")]
        return None not in connection.execute("SELECT to_regclass(%s), to_regclass(%s)", names).fetchall()[0]

    def _make_tables(self, connection: Connection) -> None:
        with connection.transaction():
            there = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self._schema,)).fetchone()
            if not there:
                # Asking for what is there wants a permission, too.
                connection.execute(self._sql("CREATE SCHEMA IF NOT EXISTS {schema}"))
            connection.execute(self._sql(TABLES))
        with suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
            connection.execute(self._sql(AS_IT_IS))

    def _denied(self, said: str) -> StoreMisconfigured:
        user, schema = self._server.user, self._schema
        return StoreMisconfigured(
            f"the database {self._server.address} refuses access to the tables ({said}): GRANT USAGE ON SCHEMA {schema}"
            f" TO {user}; GRANT SELECT, INSERT, DELETE ON {schema}.nexus_blobs, {schema}.nexus_chunks TO {user}"
        )

    def check(self) -> None:
        names = {table: f"{self._schema}.nexus_{table}" for table in ("blobs", "chunks")}
        (fsync, read_only, permitted), *_ = self._ask(SETTINGS, names)
        if read_only == "on":
            raise StoreMisconfigured(
                f"the database {self._server.address} takes no writes: name the primary, or all hosts with"
                " target_session_attrs=read-write in dsn"
            )
        if not permitted:
            raise self._denied("a permission is missing")
        if fsync == "off" and self._server.durable:
            raise StoreMisconfigured(
                f"the database {self._server.address} runs with fsync=off and loses commits in a power cut: switch it"
                " on there, or accept that with the setting fsync=false here"
            )

    # -- blobs

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        return self._with(lambda connection: self._insert(connection, key, content))

    def _insert(self, connection: Connection, key: str, content: bytes) -> bool:
        values = {
            "key": key.encode(),
            "version": uuid.uuid4(),
            "size": len(content),
            "content": content,
            "chunk": CHUNK,
            "last": max(len(content) - 1, 0) // CHUNK,
        }
        return self._change(connection, CREATE, values) > 0

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        def work(connection: Connection) -> bool:
            with connection.transaction():
                self._change(connection, REMOVE, (key.encode(),))
                return self._insert(connection, key, content)

        if not self._with(work):
            raise StoreUnavailable("a blob was written again while it was being replaced")

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        """Compares the bytes themselves: rare, and it asks nothing of the database's own digests."""
        pieces = self._ask(PIECES, (key.encode(), len(content)))
        return bool(pieces) and b"".join(piece for (piece,) in pieces) == content

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        found = self._ask(OPEN, (key.encode(),))
        if not found:
            return None
        version, size, held = found[0]
        start, stop = (span.start, min(span.stop, size)) if span is not None else (0, size)
        if start >= stop or held != size:
            return Nothing()
        return _Pieces(self, version, start, stop)

    def read(self, version: uuid.UUID, start: int, stop: int) -> bytes:
        """Part of one write of a blob."""
        first, last = start // CHUNK, (stop - 1) // CHUNK
        values = {"version": version, "start": start, "stop": stop, "first": first, "last": last, "chunk": CHUNK}
        content = b"".join(piece for (piece,) in self._ask(SPAN, values))
        if len(content) != stop - start:
            raise StoreUnavailable("a blob was removed or written again while it was being read")
        return content

    def head(self, key: str) -> Entry | None:
        found = self._ask(FIND, (key.encode(),))
        return Entry(key, found[0][1], found[0][2], str(found[0][0])) if found else None

    def remove(self, key: str, version: str) -> None:
        def work(connection: Connection) -> bool:
            if self._change(connection, REMOVE + " AND version = %s", (key.encode(), uuid.UUID(version))):
                return True
            return not self._rows(connection, FIND, (key.encode(),))

        if not self._with(work):
            raise StoreUnavailable("a blob was written again while it was being removed")

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        after = token.encode(errors=AS_BYTES) or prefix.encode()
        end = prefix.encode()[:-1] + bytes([prefix.encode()[-1] + 1])
        rows = self._ask(LIST, (after, end, PAGE))
        entries = [Entry(key.decode(errors=AS_BYTES), size, stored_at) for key, size, stored_at in rows]
        return entries, entries[-1].key if len(entries) == PAGE else ""

    def close(self) -> None:
        self._connections.close()


class _Pieces:
    """A blob's bytes, asked for as they are read, so that a slow reader holds no connection."""

    def __init__(self, tables: PostgresTables, version: uuid.UUID, start: int, stop: int) -> None:
        self._tables = tables
        self._version = version
        self._at = start
        self._stop = stop
        self._ahead = memoryview(b"")
        self.size = stop - start

    def read(self, amount: int) -> bytes:
        if not self._ahead:
            stop = min(self._stop, self._at + max(amount, FETCH))
            self._ahead = memoryview(self._tables.read(self._version, self._at, stop))
            self._at += len(self._ahead)
        chunk = bytes(self._ahead[:amount])
        self._ahead = self._ahead[len(chunk) :]
        return chunk

    def close(self) -> None:
        self._ahead = memoryview(b"")
