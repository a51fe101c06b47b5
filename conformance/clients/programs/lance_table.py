"""lancedb: a table of vectors in the bucket; searched, changed by two writers, taken back to an older version."""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor

import lancedb
import pyarrow

from conformance.clients.files import bucket

OPTIONS = {"aws_endpoint": os.environ["AWS_ENDPOINT_URL"], "allow_http": "true"}
ROWS, WIDTH = 2000, 32


def vectors(seed: int, count: int) -> pyarrow.Table:
    source = random.Random(seed)
    values = pyarrow.array([source.random() for _ in range(count * WIDTH)], pyarrow.float32())
    column = pyarrow.FixedSizeListArray.from_arrays(values, WIDTH)
    return pyarrow.table({"id": range(seed * 1_000_000, seed * 1_000_000 + count), "vector": column})


def main() -> None:
    at = f"s3://{bucket()}/vectors"
    database = lancedb.connect(at, storage_options=OPTIONS)
    first = vectors(0, ROWS)
    table = database.create_table("points", first)
    wanted = first["vector"][42].as_py()
    assert table.search(wanted).limit(1).to_list()[0]["id"] == 42

    def add(writer: int) -> None:
        own = lancedb.connect(at, storage_options=OPTIONS).open_table("points")
        for number in range(5):
            own.add(vectors(writer * 10 + number, 100))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add, (1, 2)))
    table = lancedb.connect(at, storage_options=OPTIONS).open_table("points")
    assert table.count_rows() == ROWS + 1000
    table.delete("id < 1000")
    table.update(where="id = 1500", values={"id": -1})
    assert table.count_rows() == ROWS + 1000 - 1000 and table.count_rows("id = -1") == 1
    table.checkout(1)
    assert table.count_rows() == ROWS
    table.checkout_latest()
    table.optimize()
    assert table.search(first["vector"][1600].as_py()).limit(1).to_list()[0]["id"] == 1600
    database.drop_table("points")


main()
