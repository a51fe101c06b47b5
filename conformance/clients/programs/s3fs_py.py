"""s3fs: fsspec's file system on aiobotocore, what pandas, Dask, xarray and Zarr open s3:// with."""

from __future__ import annotations

import urllib.request

import s3fs

from conformance.clients.files import BIG, MIB, SPECIAL_KEYS, bucket, digest, digests, folder, left, noise, plant


def carry(fs: s3fs.S3FileSystem, name: str) -> None:
    big = noise(BIG)
    with fs.open(f"{name}/big", "wb", block_size=5 * MIB, Metadata={"colour": "blue"}) as file:
        for start in range(0, BIG, 3 * MIB):
            file.write(big[start : start + 3 * MIB])
    assert fs.metadata(f"{name}/big")["colour"] == "blue", fs.metadata(f"{name}/big")
    with fs.open(f"{name}/big", "rb", cache_type="readahead") as file:
        file.seek(5 * MIB - 2)
        assert file.read(4) == big[5 * MIB - 2 : 5 * MIB + 2]
    assert fs.cat_ranges([f"{name}/big"] * 2, [0, BIG - 9], [9, BIG]) == [big[:9], big[-9:]]
    with fs.open(f"{name}/big", "ab") as file:
        file.write(b"more")
    fs.copy(f"{name}/big", f"{name}/copy")
    fs.mv(f"{name}/copy", f"{name}/moved")
    left("moved", big + b"more")


def odd_keys(fs: s3fs.S3FileSystem, name: str) -> None:
    for number, key in enumerate(SPECIAL_KEYS):
        body = noise(100 + number, number)
        fs.pipe_file(f"{name}/special/{key}", body)
        fs.cp_file(f"{name}/special/{key}", f"{name}/copied/{key}")
        assert fs.cat_file(f"{name}/copied/{key}") == body
        with urllib.request.urlopen(fs.sign(f"{name}/copied/{key}", 60), timeout=10) as answer:
            assert answer.read() == body
        left(f"copied/{key}", body)
    fs.put_tags(f"{name}/big", {"a b": "c+d"})
    assert fs.get_tags(f"{name}/big") == {"a b": "c+d"}
    fs.invalidate_cache()
    assert set(fs.find(f"{name}/copied")) == {f"{name}/copied/{key}" for key in SPECIAL_KEYS}


def tree(fs: s3fs.S3FileSystem, name: str) -> None:
    expected = plant(folder() / "tree")
    fs.put(f"{folder()}/tree/", f"{name}/tree/", recursive=True)
    fs.get(f"{name}/tree/", f"{folder()}/down/", recursive=True)
    assert digests(folder() / "down") == expected
    assert len(fs.glob(f"{name}/tree/many/0[01]*.txt")) == 20
    assert fs.du(f"{name}/tree") == sum(
        path.stat().st_size for path in (folder() / "tree").rglob("*") if path.is_file()
    )
    fs.rm(f"{name}/tree", recursive=True)
    assert not fs.exists(f"{name}/tree/readme.txt")


def main() -> None:
    fs, name = s3fs.S3FileSystem(), bucket()
    fs.mkdir(name)
    carry(fs, name)
    odd_keys(fs, name)
    tree(fs, name)
    assert digest(fs.cat(f"{name}/moved")) == digest(noise(BIG) + b"more")
    try:
        fs.info(f"{name}/absent")
        raise AssertionError("an absent key was found")
    except FileNotFoundError:
        pass


main()
