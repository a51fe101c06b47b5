"""duckdb: its httpfs extension writes and reads Parquet and CSV, by path and by host name."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import duckdb

from conformance.clients.files import bucket

ROWS = 500_000


def extension() -> Path:
    """The file of the extension, which a package of its own brings."""
    found = importlib.util.find_spec("duckdb_extension_httpfs")
    assert found is not None and found.origin is not None
    return next(Path(found.origin).parent.glob(f"extensions/v{duckdb.__version__}/httpfs.duckdb_extension"))


def main() -> None:
    base = duckdb.connect()
    base.execute(f"LOAD '{extension()}'")
    base.execute(
        f"""CREATE SECRET (TYPE s3, KEY_ID '{os.environ["AWS_ACCESS_KEY_ID"]}',
            SECRET '{os.environ["AWS_SECRET_ACCESS_KEY"]}', REGION '{os.environ["AWS_REGION"]}', USE_SSL false,
            ENDPOINT '{os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")}', URL_STYLE 'path')"""
    )
    at = f"s3://{bucket()}/duck"
    base.execute(
        f"CREATE TABLE numbers AS SELECT i AS id, 'text ' || (i % 97) AS text, i % 4 AS part FROM range({ROWS}) t(i)"
    )
    base.execute(f"COPY numbers TO '{at}/numbers ü+%25.parquet' (FORMAT parquet)")
    base.execute(f"COPY numbers TO '{at}/numbers.csv.gz' (HEADER)")
    base.execute(f"COPY numbers TO '{at}/parts' (FORMAT parquet, PARTITION_BY part)")

    def one(query: str) -> object:
        row = base.execute(query).fetchone()
        assert row is not None
        return row[0] if len(row) == 1 else row

    everything = one("SELECT count(*), sum(id), sum(hash(text)) FROM numbers")
    for source in ("numbers*.parquet", "numbers.csv.gz", "parts/*/*.parquet"):
        assert one(f"SELECT count(*), sum(id), sum(hash(text)) FROM '{at}/{source}'") == everything, source
    assert one(f"SELECT count(*) FROM '{at}/parts/*/*.parquet' WHERE part = 3") == ROWS // 4
    assert one(f"SELECT max(id) FROM '{at}/numbers*.parquet' WHERE text = 'text 5'") == max(range(5, ROWS, 97))
    assert one(f"SELECT count(*) FROM glob('{at}/**')") == 6
    try:
        base.execute(f"SELECT * FROM '{at}/absent.parquet'")
        raise AssertionError("an absent file was read")
    except (duckdb.HTTPException, duckdb.IOException):
        pass


main()
