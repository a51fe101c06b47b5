"""The calls that ``conformance.compare`` makes: success and refusal of each operation the gateway has."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

BUCKET = "compare-main"
OTHER = "compare-other"
ABSENT = "compare-absent-bucket"
BODY = b"0123456789" * 10
PART = b"p" * (5 * 1024 * 1024)
WRONG_ETAG = '"00000000000000000000000000000000"'
PAST = datetime(2001, 1, 1, tzinfo=UTC)
FUTURE = datetime(2037, 1, 1, tzinfo=UTC)


class Call(Protocol):
    """Makes one call and records what came of it; the answer, or an empty one after an error."""

    def __call__(self, case: str, operation: str, /, **members: Any) -> dict[str, Any]: ...


def buckets(call: Call) -> None:
    call("create", "create_bucket", Bucket=BUCKET)
    call("create other", "create_bucket", Bucket=OTHER)
    call("create again", "create_bucket", Bucket=BUCKET)
    for case, name in (
        ("upper case", "UpperCase"),
        ("underscore", "under_score"),
        ("two characters", "ab"),
        ("like an address", "192.168.5.4"),
        ("two dots", "a..b"),
        ("reserved prefix", "xn--bucket"),
        ("reserved suffix", "bucket-s3alias"),
        ("ends in a hyphen", "bucket-"),
        ("64 characters", "b" * 64),
    ):
        call(f"create, {case}", "create_bucket", Bucket=name)
    elsewhere = {"LocationConstraint": "eu-west-1"}
    call("create, other region", "create_bucket", Bucket="compare-region", CreateBucketConfiguration=elsewhere)
    nowhere = {"LocationConstraint": "no-such-region"}
    call("create, no region", "create_bucket", Bucket="compare-nowhere", CreateBucketConfiguration=nowhere)
    call("head", "head_bucket", Bucket=BUCKET)
    call("head, absent", "head_bucket", Bucket=ABSENT)
    call("location", "get_bucket_location", Bucket=BUCKET)
    call("location, absent", "get_bucket_location", Bucket=ABSENT)
    call("list by prefix", "list_buckets", Prefix="compare-")
    call("list a page", "list_buckets", Prefix="compare-", MaxBuckets=1)
    call("list, page too large", "list_buckets", MaxBuckets=10001)
    call("delete, absent", "delete_bucket", Bucket=ABSENT)
    call("delete region", "delete_bucket", Bucket="compare-region")


def puts(call: Call) -> None:
    wrong = base64.b64encode(hashlib.md5(b"other", usedforsecurity=False).digest()).decode()
    right = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
    call("put", "put_object", Bucket=BUCKET, Key="key", Body=BODY)
    call("put nothing", "put_object", Bucket=BUCKET, Key="empty", Body=b"")
    call("put, right MD5", "put_object", Bucket=BUCKET, Key="md5", Body=BODY, ContentMD5=right)
    call("put, wrong MD5", "put_object", Bucket=BUCKET, Key="md5-wrong", Body=BODY, ContentMD5=wrong)
    call("put, no MD5 at all", "put_object", Bucket=BUCKET, Key="md5-none", Body=BODY, ContentMD5="AAAA")
    call("put, absent bucket", "put_object", Bucket=ABSENT, Key="key", Body=BODY)
    call("put, 1024 bytes of key", "put_object", Bucket=BUCKET, Key="k" * 1024, Body=b"")
    call("put, 1025 bytes of key", "put_object", Bucket=BUCKET, Key="k" * 1025, Body=b"")
    call("put, metadata fits", "put_object", Bucket=BUCKET, Key="meta", Body=b"", Metadata={"k" * 48: "v" * 2000})
    call("put, metadata too large", "put_object", Bucket=BUCKET, Key="meta2", Body=b"", Metadata={"k": "v" * 2048})
    call("put, storage class", "put_object", Bucket=BUCKET, Key="class", Body=b"", StorageClass="STANDARD_IA")
    call("put, no storage class", "put_object", Bucket=BUCKET, Key="class2", Body=b"", StorageClass="NONSENSE")
    call("put, tags", "put_object", Bucket=BUCKET, Key="tagged", Body=BODY, Tagging="a=1&b=2")
    call("put, eleven tags", "put_object", Bucket=BUCKET, Key="tagged2", Body=b"", Tagging=_tags(11))
    call("put, tag twice", "put_object", Bucket=BUCKET, Key="tagged3", Body=b"", Tagging="a=1&a=2")
    call("put, redirect", "put_object", Bucket=BUCKET, Key="redirect", Body=b"", WebsiteRedirectLocation="/to")
    call("put, wrong redirect", "put_object", Bucket=BUCKET, Key="redirect2", Body=b"", WebsiteRedirectLocation="to")
    call(
        "put, all headers",
        "put_object",
        Bucket=BUCKET,
        Key="headers",
        Body=BODY,
        CacheControl="no-cache",
        ContentDisposition="inline",
        ContentEncoding="gzip",
        ContentLanguage="de",
        ContentType="text/plain",
        Expires=FUTURE,
        Metadata={"one": "1", "two": "zwei"},
    )
    for algorithm, hasher in (("SHA1", hashlib.sha1), ("SHA256", hashlib.sha256)):
        value = base64.b64encode(hasher(BODY).digest()).decode()
        call(
            f"put, {algorithm}",
            "put_object",
            Bucket=BUCKET,
            Key=algorithm,
            Body=BODY,
            **{f"Checksum{algorithm}": value},
        )
        other = base64.b64encode(hasher(b"other").digest()).decode()
        call(
            f"put, wrong {algorithm}",
            "put_object",
            Bucket=BUCKET,
            Key=f"{algorithm}-wrong",
            Body=BODY,
            **{f"Checksum{algorithm}": other},
        )
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME"):
        call(f"put, {algorithm}", "put_object", Bucket=BUCKET, Key=algorithm, Body=BODY, ChecksumAlgorithm=algorithm)
    call("put, no checksum", "put_object", Bucket=BUCKET, Key="bad-sum", Body=BODY, ChecksumSHA256="AAAA")


def _tags(count: int) -> str:
    return "&".join(f"t{number}=v" for number in range(count))


def gets(call: Call) -> None:
    etag = call("head", "head_object", Bucket=BUCKET, Key="key").get("ETag", WRONG_ETAG)
    call("get", "get_object", Bucket=BUCKET, Key="key")
    call("get nothing", "get_object", Bucket=BUCKET, Key="empty")
    call("get, all headers", "get_object", Bucket=BUCKET, Key="headers")
    call("get, tagged", "get_object", Bucket=BUCKET, Key="tagged")
    call("get, storage class", "get_object", Bucket=BUCKET, Key="class")
    call("get, redirect", "get_object", Bucket=BUCKET, Key="redirect")
    call("get, checksum", "get_object", Bucket=BUCKET, Key="SHA256", ChecksumMode="ENABLED")
    call("head, checksum", "head_object", Bucket=BUCKET, Key="CRC32C", ChecksumMode="ENABLED")
    call("head, checksum not asked for", "head_object", Bucket=BUCKET, Key="SHA256")
    call("get, absent key", "get_object", Bucket=BUCKET, Key="absent")
    call("get, absent bucket", "get_object", Bucket=ABSENT, Key="key")
    call("head, absent key", "head_object", Bucket=BUCKET, Key="absent")
    call("get, no such version", "get_object", Bucket=BUCKET, Key="key", VersionId="null")
    for wanted in ("0-0", "10-19", "90-", "-10", "-1000", "50-1000", "100-", "-0", "5-2", "a-b", "0-1,3-4"):
        call(f"get, range {wanted}", "get_object", Bucket=BUCKET, Key="key", Range=f"bytes={wanted}")
    call("head, range 10-19", "head_object", Bucket=BUCKET, Key="key", Range="bytes=10-19")
    call("head, range 100-", "head_object", Bucket=BUCKET, Key="key", Range="bytes=100-")
    call("get, range of nothing", "get_object", Bucket=BUCKET, Key="empty", Range="bytes=0-0")
    call("get, suffix of nothing", "get_object", Bucket=BUCKET, Key="empty", Range="bytes=-1")
    call("get, part 1", "get_object", Bucket=BUCKET, Key="key", PartNumber=1)
    call("get, part 2", "get_object", Bucket=BUCKET, Key="key", PartNumber=2)
    call("get, part and range", "get_object", Bucket=BUCKET, Key="key", PartNumber=1, Range="bytes=0-1")
    call(
        "get, overrides",
        "get_object",
        Bucket=BUCKET,
        Key="key",
        ResponseContentType="text/x",
        ResponseCacheControl="no-store",
        ResponseContentDisposition="attachment",
        ResponseContentEncoding="x",
        ResponseContentLanguage="fr",
    )
    for operation in ("get_object", "head_object"):
        for case, conditions in (
            ("if-match", {"IfMatch": etag}),
            ("if-match any", {"IfMatch": "*"}),
            ("if-match other", {"IfMatch": WRONG_ETAG}),
            ("if-none-match", {"IfNoneMatch": etag}),
            ("if-none-match any", {"IfNoneMatch": "*"}),
            ("if-none-match other", {"IfNoneMatch": WRONG_ETAG}),
            ("if-modified-since the past", {"IfModifiedSince": PAST}),
            ("if-unmodified-since the past", {"IfUnmodifiedSince": PAST}),
            ("if-unmodified-since the future", {"IfUnmodifiedSince": FUTURE}),
            ("if-match wins", {"IfMatch": etag, "IfUnmodifiedSince": PAST}),
            ("if-none-match wins", {"IfNoneMatch": etag, "IfModifiedSince": PAST}),
        ):
            call(f"{operation[:4].strip('_')}, {case}", operation, Bucket=BUCKET, Key="key", **conditions)


def attributes(call: Call) -> None:
    wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    call("attributes", "get_object_attributes", Bucket=BUCKET, Key="SHA256", ObjectAttributes=wanted)
    call("attributes, absent", "get_object_attributes", Bucket=BUCKET, Key="absent", ObjectAttributes=wanted)
    call("attributes, nonsense", "get_object_attributes", Bucket=BUCKET, Key="key", ObjectAttributes=["Nonsense"])


def tagging(call: Call) -> None:
    call("tags", "get_object_tagging", Bucket=BUCKET, Key="tagged")
    call("tags of none", "get_object_tagging", Bucket=BUCKET, Key="key")
    call("tags, absent", "get_object_tagging", Bucket=BUCKET, Key="absent")
    for case, tags in (
        ("put tags", [("a", "1"), ("b c", "é")]),
        ("put eleven tags", [(str(number), "") for number in range(11)]),
        ("put a tag twice", [("a", "1"), ("a", "2")]),
        ("put a long tag key", [("k" * 129, "")]),
        ("put a long tag value", [("k", "v" * 257)]),
        ("put a system tag", [("aws:x", "1")]),
        ("put an empty tag key", [("", "1")]),
        ("put no tags", []),
    ):
        wanted = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
        call(case, "put_object_tagging", Bucket=BUCKET, Key="tagged", Tagging=wanted)
    call("put tags, absent", "put_object_tagging", Bucket=BUCKET, Key="absent", Tagging={"TagSet": []})
    call("delete tags", "delete_object_tagging", Bucket=BUCKET, Key="tagged")
    call("tags after that", "get_object_tagging", Bucket=BUCKET, Key="tagged")


def copies(call: Call) -> None:
    source = {"Bucket": BUCKET, "Key": "headers"}
    etag = call("head source", "head_object", **source).get("ETag", WRONG_ETAG)
    call("copy", "copy_object", Bucket=OTHER, Key="copy", CopySource=source)
    call("copied", "get_object", Bucket=OTHER, Key="copy")
    call("copy, onto itself", "copy_object", Bucket=OTHER, Key="copy", CopySource=f"{OTHER}/copy")
    replace: dict[str, Any] = {"MetadataDirective": "REPLACE", "Metadata": {"three": "3"}}
    call("copy, replace", "copy_object", Bucket=OTHER, Key="copy", CopySource=f"{OTHER}/copy", **replace)
    call("replaced", "head_object", Bucket=OTHER, Key="copy")
    call("copy, nonsense directive", "copy_object", Bucket=OTHER, Key="x", CopySource=source, MetadataDirective="X")
    call("copy, absent key", "copy_object", Bucket=OTHER, Key="x", CopySource=f"{BUCKET}/absent")
    call("copy, absent bucket", "copy_object", Bucket=OTHER, Key="x", CopySource=f"{ABSENT}/key")
    call("copy, to an absent bucket", "copy_object", Bucket=ABSENT, Key="x", CopySource=source)
    call("copy, no source", "copy_object", Bucket=OTHER, Key="x", CopySource="nonsense")
    call("copy, tags", "copy_object", Bucket=OTHER, Key="tagged", CopySource=f"{BUCKET}/CRC32", TaggingDirective="COPY")
    call("copy, other checksum", "copy_object", Bucket=OTHER, Key="sum", CopySource=source, ChecksumAlgorithm="SHA256")
    for case, conditions in (
        ("if-match", {"CopySourceIfMatch": etag}),
        ("if-match other", {"CopySourceIfMatch": WRONG_ETAG}),
        ("if-none-match", {"CopySourceIfNoneMatch": etag}),
        ("if-none-match other", {"CopySourceIfNoneMatch": WRONG_ETAG}),
        ("if-modified-since the past", {"CopySourceIfModifiedSince": PAST}),
        ("if-unmodified-since the past", {"CopySourceIfUnmodifiedSince": PAST}),
        ("if-match wins", {"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": PAST}),
    ):
        call(f"copy, {case}", "copy_object", Bucket=OTHER, Key="conditional", CopySource=source, **conditions)


def conditions(call: Call) -> None:
    etag = call("put", "put_object", Bucket=BUCKET, Key="cond", Body=BODY).get("ETag", WRONG_ETAG)
    target = {"Bucket": BUCKET, "Key": "cond"}
    call("create, there", "put_object", **target, Body=b"", IfNoneMatch="*")
    call("create, absent", "put_object", Bucket=BUCKET, Key="cond2", Body=b"", IfNoneMatch="*")
    call("put, if-none-match an ETag", "put_object", **target, Body=b"", IfNoneMatch=etag)
    call("put, if-match other", "put_object", **target, Body=b"", IfMatch=WRONG_ETAG)
    call("put, if-match on absent", "put_object", Bucket=BUCKET, Key="cond3", Body=b"", IfMatch=etag)
    call("delete, if-match other", "delete_object", **target, IfMatch=WRONG_ETAG)
    call("put, if-match", "put_object", **target, Body=BODY, IfMatch=etag)
    call("delete, if-match", "delete_object", **target, IfMatch=etag)
    call("gone", "head_object", **target)


def listings(call: Call) -> None:
    for key in ("a", "b/1", "b/2", "b/c/1", "c d+e%", "d//1", "e&<>", "é"):
        call(f"put {key}", "put_object", Bucket=OTHER, Key=f"list/{key}", Body=b"x")
    for operation in ("list_objects", "list_objects_v2"):
        for case, members in (
            ("all", {}),
            ("delimiter", {"Delimiter": "/"}),
            ("long delimiter", {"Delimiter": "c/"}),
            ("deeper", {"Prefix": "list/b/", "Delimiter": "/"}),
            ("no match", {"Prefix": "list/none"}),
            ("one key", {"MaxKeys": 1}),
            ("two with delimiter", {"MaxKeys": 2, "Delimiter": "/"}),
            ("no keys", {"MaxKeys": 0}),
            ("too many keys", {"MaxKeys": 2000}),
            ("less than none", {"MaxKeys": -1}),
            ("encoded", {"EncodingType": "url"}),
            ("encoded otherwise", {"EncodingType": "nonsense"}),
        ):
            call(f"{operation[13:] or 'v1'}, {case}", operation, **{"Bucket": OTHER, "Prefix": "list/", **members})
        call(f"{operation[13:] or 'v1'}, absent bucket", operation, Bucket=ABSENT)
    call("marker", "list_objects", Bucket=OTHER, Prefix="list/", Marker="list/b/2")
    call("start after", "list_objects_v2", Bucket=OTHER, Prefix="list/", StartAfter="list/b/2")
    call("owner", "list_objects_v2", Bucket=OTHER, Prefix="list/a", FetchOwner=True)
    call("wrong token", "list_objects_v2", Bucket=OTHER, ContinuationToken="made-up")
    first = call("first page", "list_objects_v2", Bucket=OTHER, Prefix="list/", MaxKeys=3)
    if token := first.get("NextContinuationToken"):
        call("next page", "list_objects_v2", Bucket=OTHER, Prefix="list/", MaxKeys=3, ContinuationToken=token)


def multipart(call: Call) -> None:
    target: dict[str, Any] = {"Bucket": BUCKET, "Key": "multi"}
    begun = call("begin", "create_multipart_upload", **target, ContentType="text/plain", Metadata={"a": "b"})
    upload = {**target, "UploadId": begun.get("UploadId", "none")}
    first = call("part 1", "upload_part", **upload, PartNumber=1, Body=PART)
    second = call("part 2", "upload_part", **upload, PartNumber=2, Body=b"end")
    for number in (0, 10001):
        call(f"part {number}", "upload_part", **upload, PartNumber=number, Body=b"x")
    call("part, wrong MD5", "upload_part", **upload, PartNumber=3, Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    call("part of no upload", "upload_part", **target, UploadId="none", PartNumber=1, Body=b"x")
    source = {"Bucket": BUCKET, "Key": "key"}
    call("copied part", "upload_part_copy", **upload, PartNumber=3, CopySource=source, CopySourceRange="bytes=0-9")
    call(
        "copied part beyond",
        "upload_part_copy",
        **upload,
        PartNumber=4,
        CopySource=source,
        CopySourceRange="bytes=0-999",
    )
    call("copied part of nothing", "upload_part_copy", **upload, PartNumber=4, CopySource=f"{BUCKET}/absent")
    call("parts", "list_parts", **upload)
    call("parts, a page", "list_parts", **upload, MaxParts=1, PartNumberMarker=1)
    call("parts of no upload", "list_parts", **target, UploadId="none")
    call("uploads", "list_multipart_uploads", Bucket=BUCKET)
    call("uploads by prefix", "list_multipart_uploads", Bucket=BUCKET, Prefix="none")
    call("uploads, absent bucket", "list_multipart_uploads", Bucket=ABSENT)

    one = {"PartNumber": 1, "ETag": first.get("ETag", WRONG_ETAG)}
    two = {"PartNumber": 2, "ETag": second.get("ETag", WRONG_ETAG)}
    for case, parts in (
        ("no parts", []),
        ("wrong order", [two, one]),
        ("absent part", [one, {"PartNumber": 9, "ETag": two["ETag"]}]),
        ("wrong ETag", [one, {"PartNumber": 2, "ETag": WRONG_ETAG}]),
        ("small part", [two, {"PartNumber": 3, "ETag": '"781e5e245d69b566979b86e28d23f2c7"'}]),
    ):
        call(f"complete, {case}", "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    whole = {"Parts": [one, two]}
    call("complete, wrong size", "complete_multipart_upload", **upload, MultipartUpload=whole, MpuObjectSize=7)
    call("complete no upload", "complete_multipart_upload", **target, UploadId="none", MultipartUpload=whole)
    call("complete", "complete_multipart_upload", **upload, MultipartUpload=whole)
    call("complete again", "complete_multipart_upload", **upload, MultipartUpload=whole)
    call("completed", "head_object", **target)
    call("its part 2", "get_object", **target, PartNumber=2)
    call("its part 3", "get_object", **target, PartNumber=3)
    call("its attributes", "get_object_attributes", **target, ObjectAttributes=["ETag", "ObjectParts", "ObjectSize"])
    call("abort after that", "abort_multipart_upload", **upload)
    again = call("begin again", "create_multipart_upload", **target)
    aborted = {**target, "UploadId": again.get("UploadId", "none")}
    call("abort", "abort_multipart_upload", **aborted)
    call("part after that", "upload_part", **aborted, PartNumber=1, Body=b"x")
    call("begin, absent bucket", "create_multipart_upload", Bucket=ABSENT, Key="multi")
    for algorithm, kind in (("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), ("CRC32", "FULL_OBJECT")):
        call(
            f"begin, {algorithm} {kind}",
            "create_multipart_upload",
            Bucket=OTHER,
            Key="sums",
            ChecksumAlgorithm=algorithm,
            ChecksumType=kind,
        )


def deletes(call: Call) -> None:
    call("delete", "delete_object", Bucket=BUCKET, Key="key")
    call("delete again", "delete_object", Bucket=BUCKET, Key="key")
    call("delete, absent bucket", "delete_object", Bucket=ABSENT, Key="key")
    keys = [{"Key": "empty"}, {"Key": "absent"}]
    call("delete many", "delete_objects", Bucket=BUCKET, Delete={"Objects": keys})
    call("delete many quietly", "delete_objects", Bucket=BUCKET, Delete={"Objects": keys, "Quiet": True})
    call("delete none", "delete_objects", Bucket=BUCKET, Delete={"Objects": []})
    many = [{"Key": str(number)} for number in range(1001)]
    call("delete too many", "delete_objects", Bucket=BUCKET, Delete={"Objects": many})
    call("delete a full bucket", "delete_bucket", Bucket=BUCKET)


GROUPS: tuple[Callable[[Call], None], ...] = (
    buckets,
    puts,
    gets,
    attributes,
    tagging,
    copies,
    conditions,
    listings,
    multipart,
    deletes,
)
"""In this order: later groups use what earlier ones stored."""
