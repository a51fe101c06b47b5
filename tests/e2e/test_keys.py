"""Keys are opaque: whatever S3 allows in a key can be put, listed, fetched, copied and deleted."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, aws, keys_of, refused

ODD = {
    "latin": "äöüß",
    "greek": "λόγος",
    "han": "漢字/かな",
    "astral": "\U0001f600\U00020000",
    "plane-14": "\U000e0100tag",
    "private": "\ue000\U0010fffd",
    "combining": "e\u0301 and \u00e9",
    "right-to-left": "\u202eabc\u202c",
    "double slash": "a//b",
    "leading slash": "/a",
    "only slashes": "///",
    "trailing slash": "a/b/",
    "dots": "../../etc/passwd",
    "dot": "./a/./b",
    "bare dots": "..",
    "bare dot": ".",
    "spaces": " a  b ",
    "plus": "a+b",
    "percent": "100%",
    "escaped": "a%2Fb%00%2e%2e",
    "query": "a?b=c&d",
    "query like ours": "key?uploads&partNumber=1",
    "fragment": "a#b",
    "quotes": "a\"b'c`d",
    "xml": "<a>&amp;]]></a>",
    "backslash": "a\\b\\..\\c",
    "braces": "{a}[b]^c|d~e",
    "at and colon": "user@host:8080;p,=$!*()",
    "newline": "a\nb",
    "carriage return": "a\rb\r\nc",
    "tab": "\ta",
    "control": "a\x01b\x1f\x7f",
    "delete and c1": "\x7f\x80\x9f",
    "no-break": "\u00a0\u2028\u2029\ufeff",
    "dollar": "$HOME/${x}",
    "soap": "soap",
    "api": "api/nfs/read",
    "longest": "k" * 1024,
    "longest in bytes": "é" * 512,
    "deep": "/".join("d" for _ in range(512)),
}


@pytest.mark.parametrize("key", ODD.values(), ids=ODD.keys())
def test_odd_keys(s3: BaseClient, bucket: str, key: str) -> None:
    body = key.encode()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key=key)["ContentLength"] == len(body)
    # boto3 asks for encoding-type=url by itself and decodes what comes.
    assert keys_of(s3, bucket) == [key]
    assert [entry["Key"] for entry in s3.list_objects(Bucket=bucket)["Contents"]] == [key]
    assert keys_of(s3, bucket, prefix=key) == [key]
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": "copy"})
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    s3.delete_object(Bucket=bucket, Key="copy")
    s3.delete_object(Bucket=bucket, Key=key)
    assert keys_of(s3, bucket) == []


def test_all_odd_keys_together(s3: BaseClient, bucket: str) -> None:
    """They are different keys, listed by their bytes, and go in one DeleteObjects."""
    for key in ODD.values():
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert keys_of(s3, bucket) == sorted(ODD.values(), key=str.encode)
    for key in ODD.values():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    # A control character has no place in XML, so such keys are deleted one by one.
    speakable = [key for key in ODD.values() if not any(ord(char) < 32 and char not in "\t\n\r" for char in key)]
    told = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in speakable]})
    assert "Errors" not in told
    assert keys_of(s3, bucket) == sorted(set(ODD.values()) - set(speakable), key=str.encode)


@pytest.mark.parametrize("plane", range(17))
def test_every_plane(s3: BaseClient, bucket: str, plane: int) -> None:
    points = [0x20 if plane == 0 else plane << 16, (plane << 16) + 0x41, (plane << 16) + 0xD7FF, (plane << 16) + 0xFFFD]
    keys = sorted({f"a{chr(point)}b" for point in points}, key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert keys_of(s3, bucket) == keys
    for key in keys:
        s3.head_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 512 + "k"], ids=["ascii", "bytes"])
def test_longer_keys_are_refused(s3: BaseClient, bucket: str, key: str) -> None:
    with refused("KeyTooLongError", 400):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    with refused("KeyTooLongError", 400):
        s3.create_multipart_upload(Bucket=bucket, Key=key)
    s3.put_object(Bucket=bucket, Key="source", Body=b"x")
    with refused("KeyTooLongError", 400):
        s3.copy_object(Bucket=bucket, Key=key, CopySource=f"{bucket}/source")
    assert keys_of(s3, bucket) == ["source"]


def test_a_key_and_what_lies_below_it(s3: BaseClient, bucket: str) -> None:
    """In a file system ``a`` and ``a/b`` exclude each other, and ``A`` may be ``a``; here they are different keys."""
    keys = ["A", "a", "a/", "a/b", "a/b/c", "e\u0301", "\u00e9"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert keys_of(s3, bucket) == sorted(keys, key=str.encode)
    for key in keys:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()


def test_aws_cli_handles_odd_keys(server: Server, s3: BaseClient, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"odd")
    for key in ("a b+c%41é", "漢字/\U0001f600", "x//y/../z", "q?r=s&t#u"):
        aws(server, "s3", "cp", "--quiet", str(tmp_path / "up"), f"s3://{bucket}/{key}")
        aws(server, "s3", "cp", "--quiet", f"s3://{bucket}/{key}", str(tmp_path / "down"))
        assert (tmp_path / "down").read_bytes() == b"odd"
        assert keys_of(s3, bucket) == [key]
        aws(server, "s3", "rm", "--quiet", f"s3://{bucket}/{key}")
        assert keys_of(s3, bucket) == []
