"""deltalake: two processes append to one table at once, by conditional puts; no commit may be lost."""

from __future__ import annotations

import os
import subprocess
import sys

import pyarrow
from deltalake import DeltaTable, write_deltalake

from conformance.clients.files import bucket

COMMITS = 20
ROWS = 100
OPTIONS = {
    "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    "AWS_ALLOW_HTTP": "true",
    "aws_conditional_put": "etag",
}


def rows(writer: int, commit: int) -> pyarrow.Table:
    return pyarrow.table({"writer": [writer] * ROWS, "commit": [commit] * ROWS, "row": list(range(ROWS))})


def append(at: str, writer: int) -> None:
    for commit in range(COMMITS):
        write_deltalake(at, rows(writer, commit), mode="append", storage_options=OPTIONS)


def main() -> None:
    at = f"s3://{bucket()}/delta table"
    if len(sys.argv) > 1:
        append(at, int(sys.argv[1]))
        return
    write_deltalake(at, rows(0, -1), storage_options=OPTIONS)
    command = [sys.executable, "-m", "conformance.clients.programs.delta_table"]
    writers = [subprocess.Popen([*command, str(number)]) for number in (1, 2)]
    assert [writer.wait(200) for writer in writers] == [0, 0]

    table = DeltaTable(at, storage_options=OPTIONS)
    assert table.version() == 2 * COMMITS, table.version()
    seen = table.to_pyarrow_table()
    pairs = set(zip(seen["writer"].to_pylist(), seen["commit"].to_pylist(), strict=True))
    expected = {(0, -1)} | {(writer, commit) for writer in (1, 2) for commit in range(COMMITS)}
    assert pairs == expected and seen.num_rows == ROWS * len(expected)

    table.delete("writer = 1")
    table.optimize.compact()
    table.create_checkpoint()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    again = DeltaTable(at, storage_options=OPTIONS)
    assert again.to_pyarrow_table().num_rows == ROWS * (1 + COMMITS)


main()
