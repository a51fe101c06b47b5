"""Blobs in a bucket of any S3 service: AWS, MinIO, R2, Ceph, another gateway.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any

from backends.base import ByteRange
from backends.calls import Body
from backends.http import Nothing
from backends.remote import Entry, RemoteStore
from backends.remote_native import RemoteNative
from backends.s3_client import Absent, NotThere, S3Client, Taken, Unsupported, read_endpoint
from backends.s3_native import S3Native
from backends.settings import read_prefix, read_timeout

PAGE = 1000


def open_store(config: Mapping[str, str]) -> RemoteStore:
    """Raises StoreMisconfigured. Does no I/O but to look for credentials."""
    return RemoteStore(S3Bucket(config), read_prefix(config), timeout=read_timeout(config))


def open_native(config: Mapping[str, str]) -> RemoteNative:
    """As ``open_store``, in the layout ``native``."""
    prefix = read_prefix(config)
    return RemoteNative(S3Native(config, prefix), prefix, timeout=read_timeout(config))


def identity(config: Mapping[str, str]) -> str:
    return f"{read_endpoint(config) or 'aws'}/{config['bucket']}/{read_prefix(config)}"


class S3Bucket:
    """A Container of S3's calls."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self._bucket = config["bucket"]
        self._conditional = True
        self._client = S3Client(config)

    def create(self, key: str, content: bytes, sha256: str) -> bool:
        try:
            if self._conditional:
                self._put(key, content, sha256, IfNoneMatch="*")
                return True
        except Taken:
            return False
        except Unsupported:
            # An older service: writing the same bytes twice does no harm, it is only not avoided.
            self._conditional = False
        if self.holds(key, content, sha256):
            return False
        self.replace(key, content, sha256)
        return True

    def replace(self, key: str, content: bytes, sha256: str) -> None:
        self._put(key, content, sha256)

    def _put(self, key: str, content: bytes, sha256: str, **condition: str) -> None:
        with self._client.telling("s3:PutObject"):
            self._client.api.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=content,
                ContentType="application/octet-stream",
                ChecksumSHA256=_base64(bytes.fromhex(sha256)),
                **condition,
            )

    def holds(self, key: str, content: bytes, sha256: str) -> bool:
        found = self._head(key)
        if found is None or found["ContentLength"] != len(content):
            return False
        if "ChecksumSHA256" in found:
            return bool(found["ChecksumSHA256"] == _base64(bytes.fromhex(sha256)))
        # Not every service keeps checksums, and an ETag is an MD5 where nothing was encrypted. Doubt replaces.
        etag: str = found.get("ETag", "").strip('"')
        return etag == hashlib.md5(content, usedforsecurity=False).hexdigest()

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            with self._client.telling("s3:GetObject"):
                found: dict[str, Any] = self._client.api.head_object(
                    Bucket=self._bucket, Key=key, ChecksumMode="ENABLED"
                )
                return found
        except Absent:
            return None

    def open(self, key: str, span: ByteRange | None) -> Body | None:
        ranged = {"Range": f"bytes={span.start}-{span.stop - 1}"} if span is not None else {}
        try:
            with self._client.telling("s3:GetObject"):
                found = self._client.api.get_object(Bucket=self._bucket, Key=key, **ranged)
        except Absent:
            return None
        except NotThere:
            return Nothing()
        return self._client.body(found, span.start if span is not None else None)

    def head(self, key: str) -> Entry | None:
        found = self._head(key)
        return Entry(key, found["ContentLength"], found["LastModified"].timestamp()) if found else None

    def remove(self, key: str, version: str) -> None:
        # An ETag is the same for the same bytes, so that it tells no writes apart.
        with contextlib.suppress(Absent), self._client.telling("s3:DeleteObject"):
            self._client.api.delete_object(Bucket=self._bucket, Key=key)

    def page(self, prefix: str, token: str) -> tuple[list[Entry], str]:
        more = {"ContinuationToken": token} if token else {}
        with self._client.telling("s3:ListBucket"):
            found = self._client.api.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=PAGE, **more)
        entries = [
            Entry(each["Key"], each["Size"], each["LastModified"].timestamp()) for each in found.get("Contents", [])
        ]
        return entries, found.get("NextContinuationToken", "") if found.get("IsTruncated") else ""

    def check(self) -> None:
        self._client.check()

    def close(self) -> None:
        self._client.close()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
