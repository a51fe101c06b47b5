"""pyiceberg: a table in the bucket, its catalog in a SQLite file."""

from __future__ import annotations

import os

import pyarrow
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import EqualTo
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.transforms import IdentityTransform

from conformance.clients.files import bucket, folder

ROWS = 50_000


def main() -> None:
    catalog = SqlCatalog(
        "lake",
        **{
            "uri": f"sqlite:///{folder()}/catalog.db",
            "warehouse": f"s3://{bucket()}/warehouse",
            "py-io-impl": f"{PyArrowFileIO.__module__}.{PyArrowFileIO.__name__}",
            "s3.endpoint": os.environ["AWS_ENDPOINT_URL"],
            "s3.region": os.environ["AWS_REGION"],
            "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
            "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"],
        },
    )
    catalog.create_namespace("shop")
    rows = pyarrow.table({"id": range(ROWS), "kind": [f"k {number % 5}" for number in range(ROWS)]})
    table = catalog.create_table("shop.orders", schema=rows.schema)
    with table.update_spec() as update:
        update.add_field("kind", IdentityTransform(), "kind")
    table.append(rows)
    table.append(rows.slice(0, 10))
    first = table.history()[0].snapshot_id

    assert table.scan().to_arrow().num_rows == ROWS + 10
    chosen = table.scan(row_filter=EqualTo("kind", "k 3"), selected_fields=("id",)).to_arrow()
    assert sorted(chosen["id"].to_pylist()) == sorted([*range(3, ROWS, 5), 3, 8])
    table.delete("kind = 'k 3'")
    assert table.scan().to_arrow().num_rows == ROWS + 10 - chosen.num_rows
    assert table.scan(snapshot_id=first).to_arrow().num_rows == ROWS

    again = catalog.load_table("shop.orders")
    assert again.scan().to_arrow().num_rows == ROWS + 10 - chosen.num_rows
    catalog.purge_table("shop.orders")


main()
