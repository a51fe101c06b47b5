"""A bucket of millions of keys in a minute: written into the catalog, where as many PUTs would take hours.

Each row is a copy of that of an object that was put as any other, under another key. So what is listed, read and
counted is what a gateway would have made of so many copies of that object, and a check of the whole finds nothing
wrong. The gateway may be running meanwhile. Ten million keys are some 2 GB.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

BATCH = 100_000
ROW_BYTES = 250
"""What a key costs on the disk, at most."""
BELOW_EACH = 1000
"""Keys with one prefix: ``p00000/k000000`` is the first key, ``p00001/k000000`` the thousand-and-first."""

_KEY = f"CAST(printf('p%05d/k%06d', n / {BELOW_EACH}, n % {BELOW_EACH}) AS BLOB)"


def prefix_of(number: int) -> str:
    """The prefix of a thousand keys."""
    return f"p{number:05d}/"


def fill(catalog: Path, bucket: str, pattern: str, count: int) -> None:
    """Name ``count`` keys of a bucket, each a copy of the object ``pattern`` in it."""
    room = shutil.disk_usage(catalog.parent).free
    if room < count * ROW_BYTES:
        raise RuntimeError(f"{count} keys need {count * ROW_BYTES >> 20} MiB, and {room >> 20} are free")
    with closing(sqlite3.connect(catalog, isolation_level=None, timeout=60)) as conn:
        conn.execute("PRAGMA synchronous=OFF")
        conn.execute("PRAGMA cache_size=-65536")
        where = conn.execute(
            "SELECT b.id, o.key FROM buckets AS b JOIN objects AS o ON o.bucket_id = b.id"
            " WHERE b.name = ? AND o.key = ?",
            (bucket, pattern.encode()),
        ).fetchone()
        if where is None:
            raise RuntimeError(f"there is no object {pattern} in {bucket}")
        columns = [row[1] for row in conn.execute("PRAGMA table_info(objects)") if row[1] not in ("id", "key")]
        copied = ", ".join(columns)
        statement = (
            f"WITH RECURSIVE numbers (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?2)"
            f" INSERT INTO objects (key, {copied}) SELECT {_KEY}, {copied} FROM numbers,"
            f" (SELECT {copied} FROM objects WHERE bucket_id = ?3 AND key = ?4)"
        )
        for start in range(0, count, BATCH):
            with _turn(catalog):
                conn.execute(statement, (start, min(start + BATCH, count), *where))


def fill_parts(catalog: Path, upload_id: str, count: int) -> None:
    """Give an upload ``count`` parts, each a copy of its first."""
    with closing(sqlite3.connect(catalog, isolation_level=None, timeout=60)) as conn:
        columns = [row[1] for row in conn.execute("PRAGMA table_info(parts)") if row[1] != "number"]
        copied = ", ".join(columns)
        statement = (
            f"WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)"
            f" INSERT INTO parts (number, {copied}) SELECT n, {copied} FROM numbers,"
            f" (SELECT {copied} FROM parts WHERE upload_id = ?2 AND number = 1)"
        )
        with _turn(catalog):
            conn.execute(statement, (count, upload_id))


@contextmanager
def _turn(catalog: Path) -> Iterator[None]:
    """Write when no process of the gateway does."""
    fd = os.open(f"{catalog}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
