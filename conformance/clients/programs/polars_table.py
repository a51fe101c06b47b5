"""polars: Parquet and CSV by its own cloud reader and writer, on object_store."""

from __future__ import annotations

import os

import polars

from conformance.clients.files import bucket

OPTIONS = {"aws_endpoint_url": os.environ["AWS_ENDPOINT_URL"], "aws_allow_http": "true"}
ROWS = 300_000


def main() -> None:
    at = f"s3://{bucket()}/tables"
    frame = polars.DataFrame(
        {
            "id": range(ROWS),
            "kind": [f"k{number % 7}" for number in range(ROWS)],
            "size": [n * 0.5 for n in range(ROWS)],
        }
    )
    frame.write_parquet(f"{at}/plain/ünï code+%.parquet", storage_options=OPTIONS)
    assert polars.read_parquet(f"{at}/plain/*.parquet", storage_options=OPTIONS).equals(frame)

    lazy = polars.scan_parquet(f"{at}/plain/*.parquet", storage_options=OPTIONS)
    few = lazy.filter(polars.col("id") > ROWS - 4).select("id").collect()
    assert few["id"].to_list() == [ROWS - 3, ROWS - 2, ROWS - 1]
    lazy.with_columns(doubled=polars.col("size") * 2).sink_parquet(f"{at}/sunk.parquet", storage_options=OPTIONS)
    sums = (
        polars.scan_parquet(f"{at}/sunk.parquet", storage_options=OPTIONS).select(polars.col("doubled").sum()).collect()
    )
    assert sums.item() == sum(range(ROWS))

    frame.head(1000).write_csv(f"{at}/some.csv", storage_options=OPTIONS)
    assert polars.scan_csv(f"{at}/some.csv", storage_options=OPTIONS).collect().equals(frame.head(1000))

    parts = polars.PartitionBy(f"{at}/parts", key="kind")
    frame.lazy().sink_parquet(parts, storage_options=OPTIONS, mkdir=True)
    one = polars.scan_parquet(f"{at}/parts/**/*.parquet", storage_options=OPTIONS, hive_partitioning=True)
    assert one.filter(polars.col("kind") == "k3").select(polars.len()).collect().item() == len(range(3, ROWS, 7))


main()
