"""A bucket of any S3 service as it stands.

The state of an object is its ETag: that is what S3 compares. What is written twice the same has one state.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from backends.base import ByteRange, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.calls import Body
from backends.header_text import from_header, to_header
from backends.native import (
    ANYTHING,
    Expected,
    KeyRefused,
    NativeAttributes,
    NativeEntry,
    NativeObject,
    NativePage,
    StateChanged,
)
from backends.remote_native import BLOCK, ConditionUnknown, UploadGone, last_of
from backends.s3_client import Absent, NotThere, S3Client, Taken, TooLong, Unsupported

MIB = 1024 * 1024
LONGEST_KEY = 1024
PARTS = 10_000
SIZES = ((0, BLOCK), (1000, 2 * BLOCK), (2000, 4 * BLOCK), (3000, 8 * BLOCK))
"""From which part on parts have which size: few objects need many, and memory holds them."""
COPIED = 512 * MIB
"""What is copied in one request: one of many GB may outlast every timeout."""
HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage")


class S3Native:
    """A NativeBucket of S3's calls."""

    def __init__(self, config: Mapping[str, str], prefix: str = "") -> None:
        self._client = S3Client(config)
        self._where = {"Bucket": self._client.bucket}
        self._prefix = prefix

    def check_key(self, key: str) -> None:
        if len(key.encode()) > LONGEST_KEY:
            raise KeyRefused(f"a key of this store has at most {LONGEST_KEY} bytes, its prefix among them")
        if not {".", ".."}.isdisjoint(key.split("/")):
            # Some services make paths of keys: such a one would lead out of our prefix.
            raise KeyRefused("keys of this store have no segments '.' and '..'")

    def check_attributes(self, attributes: NativeAttributes) -> None:
        _sent(attributes)

    # -- reading

    def find(self, key: str) -> NativeObject | None:
        found = self._head(key)
        return None if found is None else _object(key, found)

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            with self._client.telling("s3:GetObject"):
                found: dict[str, Any] = self._client.api.head_object(**self._where, Key=key)
                return found
        except Absent:
            return None

    def open(self, key: str, span: ByteRange, state: str) -> Body:
        ranged = f"bytes={span.start}-{span.stop - 1}"
        with _compared(key), self._client.telling("s3:GetObject"):
            found = self._client.api.get_object(**self._where, Key=key, Range=ranged, IfMatch=_quoted(state))
        body = self._client.body(found, span.start)
        if _unquoted(found["ETag"]) != state:
            body.close()
            raise _changed(key)
        return body

    def page(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        options: dict[str, Any] = {"Prefix": prefix, "MaxKeys": limit}
        if delimiter:
            options["Delimiter"] = delimiter
        if after:
            options["StartAfter"] = after
        start = after.encode()
        while True:
            with self._client.telling("s3:ListBucket"):
                found = self._client.api.list_objects_v2(**self._where, **options)
            told = [_entry(each["Key"], each) for each in found.get("Contents", [])]
            rolled = [each["Prefix"] for each in found.get("CommonPrefixes", [])]
            # Services differ in what comes after a text that lies in a common prefix, and some know no StartAfter.
            entries = [entry for entry in told if entry.key.encode() > start]
            prefixes = [name for name in rolled if name.encode() > start and not after.startswith(name)]
            more = bool(found.get("IsTruncated"))
            if entries or prefixes or not more:
                last = last_of((entry.key for entry in entries), prefixes) if more else ""
                return NativePage(entries, prefixes, last)
            if not found.get("NextContinuationToken"):
                raise StoreRefused("the service at endpoint_url does not say how a listing goes on")
            options["ContinuationToken"] = found["NextContinuationToken"]

    # -- changing

    def put(self, key: str, content: bytes, attributes: NativeAttributes, expected: Expected) -> NativeObject:
        sent = {**_sent(attributes), **_condition(expected)}
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        with _compared(key), self._client.telling("s3:PutObject"):
            made = self._client.api.put_object(
                **self._where, Key=key, Body=content, ContentMD5=base64.b64encode(md5).decode(), **sent
            )
        return self._made(key, made, len(content), attributes)

    def _made(self, key: str, made: Mapping[str, Any], size: int, attributes: NativeAttributes) -> NativeObject:
        """What was written a moment ago. S3 tells its time only who asks."""
        etag = _unquoted(made["ETag"])
        with contextlib.suppress(StoreUnavailable, StoreRefused, StoreMisconfigured):
            found = self.find(key)
            if found is not None and found.entry.etag == etag:
                return found
        told = parsedate_to_datetime(made["ResponseMetadata"]["HTTPHeaders"]["date"])
        return NativeObject(NativeEntry(key, size, etag, _milliseconds(told), etag), attributes)

    def begin(self, key: str, attributes: NativeAttributes, expected: Expected) -> S3Upload:
        with _compared(key), self._client.telling("s3:PutObject"):
            begun = self._client.api.create_multipart_upload(**self._where, Key=key, **_sent(attributes))
        return S3Upload(self, self._client, key, begun["UploadId"], attributes, expected)

    def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        found = self._head(key)
        if found is None or _unquoted(found["ETag"]) != state:
            raise _changed(key)
        kept: dict[str, Any] = {name: found[name] for name in ("StorageClass", "SSEKMSKeyId") if name in found}
        if found.get("ServerSideEncryption", "").startswith("aws:kms"):
            kept["ServerSideEncryption"] = found["ServerSideEncryption"]
        else:
            kept.pop("SSEKMSKeyId", None)
        if found["ContentLength"] > COPIED:
            return self._copy_parts(key, attributes, state, found["ContentLength"], kept)
        with _compared(key), self._client.telling("s3:PutObject"):
            made = self._client.api.copy_object(
                **self._where,
                **self._itself(key, state),
                Key=key,
                MetadataDirective="REPLACE",
                **_sent(attributes),
                **kept,
            )
        result = {**made["CopyObjectResult"], "ResponseMetadata": made["ResponseMetadata"]}
        return self._made(key, result, found["ContentLength"], attributes)

    def _itself(self, key: str, state: str) -> dict[str, Any]:
        return {"CopySource": {"Bucket": self._client.bucket, "Key": key}, "CopySourceIfMatch": _quoted(state)}

    def _copy_parts(
        self, key: str, attributes: NativeAttributes, state: str, size: int, kept: Mapping[str, Any]
    ) -> NativeObject:
        """Copy what is too large for one request onto itself. Its tags come along, where there are any."""
        with self._client.telling("s3:GetObjectTagging"):
            tags = self._client.api.get_object_tagging(**self._where, Key=key)["TagSet"]
        if tags:
            raise StoreRefused("what is said of a large object with tags is not changed: its tags would be lost")
        with self._client.telling("s3:PutObject"):
            begun = self._client.api.create_multipart_upload(**self._where, Key=key, **_sent(attributes), **kept)
        upload = S3Upload(self, self._client, key, begun["UploadId"], attributes, Expected(state=state))
        spans = [ByteRange(start, min(start + COPIED, size)) for start in range(0, size, COPIED)]
        source = self._itself(key, state)
        try:
            with ThreadPoolExecutor(S3Upload.parallel, thread_name_prefix="s3-copy") as pool:
                for _ in pool.map(lambda part: upload.copy(part[0], source, part[1]), enumerate(spans)):
                    pass
            return upload.complete()
        except BaseException:
            with contextlib.suppress(StoreUnavailable, StoreRefused, StoreMisconfigured):
                upload.abort()
            raise

    def remove(self, key: str, state: str | None) -> None:
        condition: dict[str, str] = {}
        if state is not None:
            # Asked before as well: not every service compares when it removes.
            found = self.find(key)
            if found is None or found.entry.state != state:
                raise _changed(key)
            condition = {"IfMatch": _quoted(state)}
        try:
            with _compared(key), self._client.telling("s3:DeleteObject"):
                self._client.api.delete_object(**self._where, Key=key, **condition)
        except StateChanged:
            if state is not None:
                raise

    # -- being

    def check(self) -> None:
        self._client.check(self._prefix)

    def close(self) -> None:
        self._client.close()


class S3Upload:
    """A multipart upload."""

    parallel = 3

    def __init__(
        self,
        bucket: S3Native,
        client: S3Client,
        key: str,
        upload_id: str,
        attributes: NativeAttributes,
        expected: Expected,
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._key = key
        self._where = {"Bucket": client.bucket, "Key": key, "UploadId": upload_id}
        self._attributes = attributes
        self._expected = expected
        self._sent: dict[int, str] = {}
        self._digests: dict[int, bytes] = {}
        self._sizes: dict[int, int] = {}

    @property
    def etag(self) -> str:
        digests = b"".join(self._digests[number] for number in sorted(self._digests))
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(self._digests)}"

    def part_size(self, number: int) -> int:
        if number >= PARTS:
            raise StoreRefused("an object of this store has at most 492 GiB")
        return next(size for first, size in reversed(SIZES) if number >= first)

    def send(self, number: int, content: bytes) -> None:
        md5 = hashlib.md5(content, usedforsecurity=False).digest()
        with _uploading(), self._client.telling("s3:PutObject"):
            done = self._client.api.upload_part(
                **self._where, PartNumber=number + 1, Body=content, ContentMD5=base64.b64encode(md5).decode()
            )
        self._sizes[number] = len(content)
        self._sent[number], self._digests[number] = done["ETag"], md5

    def copy(self, number: int, source: Mapping[str, Any], span: ByteRange) -> None:
        with _compared(self._key), self._client.telling("s3:PutObject"):
            done = self._client.api.upload_part_copy(
                **self._where, **source, PartNumber=number + 1, CopySourceRange=f"bytes={span.start}-{span.stop - 1}"
            )
        self._sizes[number] = span.stop - span.start
        self._sent[number] = done["CopyPartResult"]["ETag"]

    def finish(self, number: int, content: bytes) -> NativeObject:
        if number not in self._sent:
            self.send(number, content)
        return self.complete()

    def complete(self) -> NativeObject:
        if self._expected != ANYTHING:
            # Asked before as well: not every service compares when an upload is completed.
            found = self._bucket.find(self._key)
            if (found.entry.state if found is not None else None) != self._expected.state:
                raise _changed(self._key)
        parts = [{"PartNumber": number + 1, "ETag": self._sent[number]} for number in sorted(self._sent)]
        with _uploading(self._key), self._client.telling("s3:PutObject"):
            made = self._client.api.complete_multipart_upload(
                **self._where, MultipartUpload={"Parts": parts}, **_condition(self._expected)
            )
        return self._bucket._made(self._key, made, sum(self._sizes.values()), self._attributes)

    def abort(self) -> None:
        with contextlib.suppress(Absent), self._client.telling("s3:AbortMultipartUpload"):
            self._client.api.abort_multipart_upload(**self._where)


@contextlib.contextmanager
def _compared(key: str) -> Iterator[None]:
    """What a comparison that failed means, where something was expected under a key."""
    try:
        yield
    except (Absent, Taken, NotThere) as error:
        raise _changed(key) from error
    except Unsupported as error:
        raise ConditionUnknown(f"the service does not know conditions on writes ({error})") from error
    except TooLong as error:
        raise KeyRefused(str(error)) from error


@contextlib.contextmanager
def _uploading(key: str = "") -> Iterator[None]:
    """The same for steps of an upload, of which the upload may be what is not there."""
    try:
        yield
    except Absent as error:
        if key and "NoSuchKey" in str(error):
            raise _changed(key) from error
        raise UploadGone(str(error)) from error
    except Taken as error:
        raise _changed(key) from error
    except Unsupported as error:
        raise ConditionUnknown(f"the service does not know conditions on writes ({error})") from error


def _changed(key: str) -> StateChanged:
    return StateChanged(f"{key!r} is not what it was")


def _condition(expected: Expected) -> dict[str, str]:
    if expected.absent:
        return {"IfNoneMatch": "*"}
    return {"IfMatch": _quoted(expected.state)} if expected.state is not None else {}


def _quoted(etag: str) -> str:
    return f'"{etag}"'


def _unquoted(etag: str) -> str:
    return etag.strip('"')


# -- objects


def _object(key: str, found: Mapping[str, Any]) -> NativeObject:
    entry = _entry(key, {**found, "Size": found["ContentLength"]})
    headers = {name: found[name] for name in HEADERS if found.get(name)}
    if found.get("ExpiresString"):
        headers["Expires"] = found["ExpiresString"]
    metadata = {name: from_header(value) for name, value in found.get("Metadata", {}).items()}
    return NativeObject(entry, NativeAttributes(found.get("ContentType") or "binary/octet-stream", headers, metadata))


def _entry(key: str, told: Mapping[str, Any]) -> NativeEntry:
    if not told.get("ETag"):
        raise StoreRefused("the service at endpoint_url tells no ETag of an object")
    etag = _unquoted(told["ETag"])
    # One answer knows milliseconds and another does not: an object has one time.
    return NativeEntry(key, told["Size"], etag, _milliseconds(told["LastModified"]), etag)


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp()) * 1000


def _sent(attributes: NativeAttributes) -> dict[str, Any]:
    """Attributes as requests have them. Raises KeyRefused."""
    sent: dict[str, Any] = {"ContentType": attributes.content_type}
    for name, value in attributes.headers.items():
        if name == "Expires":
            sent[name] = _time(value)
        elif name in HEADERS:
            sent[name] = value
        else:
            raise KeyRefused(f"this store keeps no {name}")
    if not all(value.isascii() for value in (attributes.content_type, *attributes.headers.values())):
        raise KeyRefused("headers of this store are ASCII")
    if not all(name.isascii() for name in attributes.metadata):
        raise KeyRefused("names of metadata are ASCII in this store")
    sent["Metadata"] = {name: to_header(value) for name, value in attributes.metadata.items()}
    return sent


def _time(text: str) -> datetime:
    """What Expires says, if it comes back as it was."""
    try:
        time = parsedate_to_datetime(text)
        if format_datetime(time, usegmt=True) == text:
            return time
    except ValueError:
        pass
    raise KeyRefused("Expires must be a time as HTTP has them in this store")
