"""Python libraries, each by a program that runs in its own interpreter."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Pip, Shared, Source, Tool


@dataclass(frozen=True)
class Library:
    """A library, the program that uses it, and whether that makes the bucket itself."""

    name: str
    source: Source
    program: str
    does: str
    fast: bool = False
    makes_bucket: bool = True


LIBRARIES = (
    Library(
        "minio-py",
        Shared("minio"),
        "minio_py",
        "a stream of unknown length in parts, ranges, fget and fput, compose, copy with new metadata, tags, special "
        "keys, presigned URLs, listing, versions, remove of many",
        fast=True,
    ),
    Library(
        "obstore",
        Shared("obstore"),
        "obstore_py",
        "parallel parts, a streaming writer, ranges, metadata, copy, rename, special keys, signed URLs, delete of "
        "many, 16 writers of which one may create, update by ETag",
        fast=True,
        makes_bucket=False,
    ),
    Library(
        "pyarrow",
        Shared("pyarrow"),
        "pyarrow_fs",
        "output stream in parts, random reads, copy, move, special keys, a tree both ways, a partitioned Parquet data "
        "set written and read by filter",
        fast=True,
    ),
    Library(
        "s3fs",
        Pip("s3fs", "s3fs"),
        "s3fs_py",
        "open for writing in parts, append, seek, ranges, metadata, tags, copy, move, special keys, signed URLs, put "
        "and get of a tree, glob, du, rm -r",
        fast=True,
    ),
    Library(
        "polars",
        Pip("data", "polars"),
        "polars_table",
        "write, read, scan with filter and sink of Parquet, CSV, a partitioned data set",
        makes_bucket=False,
    ),
    Library(
        "deltalake",
        Pip("data", "deltalake"),
        "delta_table",
        "two processes append 20 commits each at once and none is lost; delete, compact, checkpoint, vacuum",
        makes_bucket=False,
    ),
    Library(
        "pyiceberg",
        Pip("data", "pyiceberg"),
        "iceberg_table",
        "create with a SQL catalog, partition, append, scan by filter, delete, read an older snapshot, purge",
        makes_bucket=False,
    ),
    Library(
        "lancedb",
        Pip("data", "lancedb"),
        "lance_table",
        "create, search vectors, two writers at once, delete, update, read an older version, optimize, drop",
        makes_bucket=False,
    ),
    Library(
        "duckdb",
        Pip("duckdb", "duckdb"),
        "duck",
        "httpfs: COPY to Parquet, CSV and a partitioned data set, read by glob and filter, glob, an absent file",
        makes_bucket=False,
    ),
)


def _register(library: Library) -> None:
    @client(library.name, library.source, fast=library.fast, does=library.does)
    def check(stand: Stand, python: Tool) -> None:
        if not library.makes_bucket:
            stand.make_bucket()
        stand.run_program(python, library.program)


for _library in LIBRARIES:
    _register(_library)
