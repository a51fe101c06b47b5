"""pyarrow: the file system of Arrow, on the AWS SDK for C++, and partitioned Parquet on it."""

from __future__ import annotations

import os

import pyarrow
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet
from pyarrow.fs import FileSelector, FileType, LocalFileSystem, S3FileSystem, copy_files

from conformance.clients.files import BIG, SPECIAL_KEYS, bucket, digests, folder, left, noise, plant


def carry(s3: S3FileSystem, name: str) -> None:
    big = noise(BIG)
    with s3.open_output_stream(f"{name}/big", metadata={"Content-Type": "a/b"}, buffer_size=1 << 20) as stream:
        stream.write(big)
    with s3.open_input_file(f"{name}/big") as file:
        assert file.metadata()["Content-Type"] == b"a/b"
        file.seek(BIG - 5)
        assert file.read() == big[-5:]
        assert file.read_at(7, 10_000_000) == big[10_000_000:10_000_007]
    s3.copy_file(f"{name}/big", f"{name}/copy")
    s3.move(f"{name}/copy", f"{name}/moved")
    left("moved", big)


def odd_keys(s3: S3FileSystem, name: str) -> None:
    for number, key in enumerate(SPECIAL_KEYS):
        body = noise(100 + number, number)
        with s3.open_output_stream(f"{name}/special/{key}") as stream:
            stream.write(body)
        with s3.open_input_stream(f"{name}/special/{key}") as stream:
            assert stream.read() == body
        left(f"special/{key}", body)
    found = s3.get_file_info(FileSelector(f"{name}/special", recursive=True))
    assert {each.path for each in found if each.type == FileType.File} == {
        f"{name}/special/{key}" for key in SPECIAL_KEYS
    }


def tree(s3: S3FileSystem, name: str) -> None:
    expected = plant(folder() / "tree")
    here = LocalFileSystem()
    copy_files(str(folder() / "tree"), f"{name}/tree", source_filesystem=here, destination_filesystem=s3)
    (folder() / "down").mkdir()
    copy_files(f"{name}/tree", str(folder() / "down"), source_filesystem=s3, destination_filesystem=here)
    assert digests(folder() / "down") == expected
    s3.delete_dir_contents(f"{name}/tree")
    assert s3.get_file_info(FileSelector(f"{name}/tree")) == []


def tables(s3: S3FileSystem, name: str) -> None:
    rows = 200_000
    table = pyarrow.table(
        {"id": range(rows), "part": [number % 4 for number in range(rows)], "text": [str(n) for n in range(rows)]}
    )
    pyarrow.dataset.write_dataset(
        table, f"{name}/table", filesystem=s3, format="parquet", partitioning=["part"], partitioning_flavor="hive"
    )
    again = pyarrow.dataset.dataset(f"{name}/table", filesystem=s3, partitioning="hive")
    chosen = again.to_table(filter=(pyarrow.compute.field("part") == 3) & (pyarrow.compute.field("id") < 100))
    assert sorted(chosen["id"].to_pylist()) == list(range(3, 100, 4))
    assert again.count_rows() == rows
    assert again.to_table().sort_by("id").select(["id", "text"]) == table.select(["id", "text"])


def main() -> None:
    address = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
    s3, name = S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True), bucket()
    s3.create_dir(name)
    carry(s3, name)
    odd_keys(s3, name)
    tree(s3, name)
    tables(s3, name)
    assert s3.get_file_info(f"{name}/absent").type == FileType.NotFound


main()
