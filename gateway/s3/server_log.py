"""A request as one line of a bucket's access log.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any
from urllib.parse import quote, unquote

from gateway.auth.sigv4 import IN_HEADER, IN_QUERY
from gateway.lifecycle import report
from gateway.log_delivery import LogDelivery
from gateway.s3.call import Note
from gateway.s3.parse import decode_header
from gateway.s3.visit import Visit
from gateway.server_logs import log_target
from gateway.types import Bucket
from gateway.versioning import versioning_of

Headers = list[tuple[bytes, bytes]]

_OPERATIONS: Mapping[str, str] = {
    "AbortMultipartUpload": "REST.DELETE.UPLOAD",
    "CompleteMultipartUpload": "REST.POST.UPLOAD",
    "CopyObject": "REST.COPY.OBJECT",
    "CreateBucket": "REST.PUT.BUCKET",
    "CreateMultipartUpload": "REST.POST.UPLOADS",
    "DeleteObjects": "REST.POST.MULTI_OBJECT_DELETE",
    "DeletePublicAccessBlock": "REST.DELETE.PUBLIC_ACCESS_BLOCK",
    "GetBucketAcl": "REST.GET.ACL",
    "GetBucketLifecycleConfiguration": "REST.GET.LIFECYCLE",
    "GetBucketLogging": "REST.GET.LOGGING_STATUS",
    "GetBucketNotificationConfiguration": "REST.GET.NOTIFICATION",
    "GetBucketPolicy": "REST.GET.BUCKETPOLICY",
    "GetBucketPolicyStatus": "REST.GET.POLICY_STATUS",
    "GetObjectAcl": "REST.GET.ACL",
    "GetObjectLockConfiguration": "REST.GET.OBJECT_LOCK_CONFIGURATION",
    "GetPublicAccessBlock": "REST.GET.PUBLIC_ACCESS_BLOCK",
    "ListMultipartUploads": "REST.GET.UPLOADS",
    "ListObjectVersions": "REST.GET.BUCKETVERSIONS",
    "ListObjects": "REST.GET.BUCKET",
    "ListObjectsV2": "REST.GET.BUCKET",
    "ListParts": "REST.GET.UPLOAD",
    "PostObject": "REST.POST.BUCKET",
    "Preflight": "REST.OPTIONS.PREFLIGHT",
    "PutBucketLifecycleConfiguration": "REST.PUT.LIFECYCLE",
    "PutBucketLogging": "REST.PUT.LOGGING_STATUS",
    "PutBucketNotificationConfiguration": "REST.PUT.NOTIFICATION",
    "PutBucketPolicy": "REST.PUT.BUCKETPOLICY",
    "DeleteBucketPolicy": "REST.DELETE.BUCKETPOLICY",
    "PutObjectLockConfiguration": "REST.PUT.OBJECT_LOCK_CONFIGURATION",
    "PutPublicAccessBlock": "REST.PUT.PUBLIC_ACCESS_BLOCK",
    "UploadPart": "REST.PUT.PART",
    "UploadPartCopy": "REST.COPY.PART",
}
"""What AWS calls an operation where that is not its method and its name without verb and ``Bucket``."""
_NAME = re.compile(r"(?:Get|Put|Delete|Head|List|Create)(?:Bucket(?=[A-Z]))?(?P<resource>[A-Z].*)")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ESCAPED = re.compile(r'["\x00-\x1f\x7f]')
_PARAMETER = re.compile(r"(?:^|(?<=[?&]))([^=&?]*)=[^&]*")
_SECRET = re.compile(
    r"(?i)X-Amz-Signature|X-Amz-Security-Token|Signature|X-Amz-(?:Copy-Source-)?Server-Side-Encryption-Customer-Key"
).fullmatch
_SIGNATURES = {"AWS4-HMAC-SHA256": "SigV4", "AWS": "SigV2"}
_AUTHENTICATION = {IN_HEADER: "AuthHeader", IN_QUERY: "QueryString"}
NONE = "-"


def without_secrets(uri: str) -> str:
    """A request line without the values in its query that let others in, or that open what is encrypted."""
    return _PARAMETER.sub(_redacted, uri)


def _redacted(parameter: re.Match[str]) -> str:
    name = parameter[1]  # as it was sent: a hyphen of it may be escaped
    return f"{name}=REDACTED" if _SECRET(unquote(name)) else parameter[0]


def operation_name(method: str, operation: str, has_key: bool) -> str:
    """What AWS's log calls an operation; one that was refused before it was known is told by its method."""
    known = _OPERATIONS.get(operation)
    if known is not None:
        return known
    if operation == "Website":
        return f"WEBSITE.{method}.OBJECT"
    found = _NAME.fullmatch(operation)
    resource = _WORD.sub("_", found["resource"]).upper() if found else ("OBJECT" if has_key else "BUCKET")
    return f"REST.{method}.{resource}"


@dataclass(slots=True)
class Record:
    """What a line tells; all but the owner of the bucket, whom the delivery puts first."""

    bucket: str
    event: float
    client: str
    requester: str | None
    request_id: str
    operation: str
    key: str
    uri: str
    """The request line; empty where there was none of its own."""
    status: int
    """0 for what no request asked for."""
    error: str
    sent: int
    object_size: int | None
    total_ms: int | None
    turn_around_ms: int | None
    referer: str
    user_agent: str
    version_id: str
    host_id: str
    signature_version: str
    auth_type: str
    host: str
    acl_required: bool

    def line(self) -> str:
        """The fields in AWS's order; what does not apply is ``-``. TLS ends before us, access points are not here, and
        from which region a request came nobody knows."""
        return " ".join(
            (
                self.bucket,
                time.strftime("[%d/%b/%Y:%H:%M:%S +0000]", time.gmtime(self.event)),
                self.client or NONE,
                self.requester or NONE,
                self.request_id,
                self.operation,
                quote(self.key, safe="/-_.~") or NONE,
                quoted(without_secrets(self.uri)) if self.uri else NONE,
                str(self.status) if self.status else NONE,
                self.error or NONE,
                str(self.sent) if self.sent else NONE,
                NONE if self.object_size is None else str(self.object_size),
                NONE if self.total_ms is None else str(self.total_ms),
                NONE if self.turn_around_ms is None else str(self.turn_around_ms),
                quoted(self.referer),
                quoted(self.user_agent),
                quote(self.version_id, safe="") or NONE,
                self.host_id,
                _SIGNATURES.get(self.signature_version, NONE),
                NONE,
                _AUTHENTICATION.get(self.auth_type, NONE),
                quote(self.host, safe=":.-[]") or NONE,
                NONE,
                NONE,
                "Yes" if self.acl_required else NONE,
                NONE,
            )
        )


def quoted(text: str) -> str:
    """A field in quotes. What could end it, or the line, is percent-encoded."""
    return f'"{_ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text) or NONE}"'


async def keep_record(
    logs: LogDelivery, visit: Visit, scope: Mapping[str, Any], headers: Headers, host_id: str
) -> None:
    """Note a request that is over, and what it did besides, in the logs of the buckets that keep one."""
    if not visit.bucket or visit.error == "NoSuchBucket":
        return
    source = await logs.source(visit.bucket)
    notes = visit.call.notes if visit.call is not None else None
    if source is None and notes is None:
        return
    record = _record(visit, scope, headers, host_id)
    if source is not None:
        logs.add(source, record.line(), record.event)
    for note in notes or ():
        logs.add(note.bucket, _noted(record, note).line(), record.event)


def _record(visit: Visit, scope: Mapping[str, Any], headers: Headers, host_id: str) -> Record:
    identity, call, now = visit.identity, visit.call, perf_counter()
    principal = identity.principal if identity is not None else None
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    received = visit.body.ended_at if visit.body is not None else None
    return Record(
        bucket=visit.bucket,
        event=time.time() - (now - visit.started),
        client=(scope.get("client") or ("",))[0],
        requester=principal.canonical_id if principal is not None else None,
        request_id=visit.request_id,
        operation=operation_name(visit.method, visit.operation, bool(visit.key)),
        key=visit.key,
        uri=f"{visit.method} {target.decode('latin-1')} HTTP/{scope.get('http_version', '1.1')}",
        status=visit.status,
        error=visit.error if visit.status >= 400 else "",
        sent=visit.sent,
        object_size=_object_size(visit, headers),
        total_ms=_millis(now - visit.started),
        turn_around_ms=_millis(visit.answered - (received or visit.started)) if visit.answered else None,
        referer=decode_header(visit.headers.get(b"referer", b"")),
        user_agent=decode_header(visit.headers.get(b"user-agent", b"")),
        version_id=call.query.get("versionId", "") if call is not None else "",
        host_id=host_id,
        signature_version=identity.signature_version if identity is not None else "",
        auth_type=identity.auth_type if identity is not None else "",
        host=visit.headers.get(b"host", b"").decode("latin-1"),
        acl_required=call is not None and call.acl_required,
    )


def _noted(record: Record, note: Note) -> Record:
    """The line of something that a request did besides: it has no request line, no answer and no time of its own."""
    return replace(
        record,
        bucket=note.bucket.name,
        operation=note.action,
        key=note.key,
        uri="",
        status=note.status,
        error=note.error,
        sent=0,
        object_size=note.size,
        total_ms=None,
        turn_around_ms=None,
        version_id=note.version_id,
        acl_required=False,
    )


_LIFECYCLE: Mapping[str, str] = {
    report.EXPIRE: "S3.EXPIRE.OBJECT",
    report.EXPIRE_REPLACED: "S3.EXPIRE.OBJECT",
    report.EXPIRE_MARKER: "S3.EXPIRE.OBJECT",
    report.ABORT: "S3.DELETE.UPLOAD",
}
_TRANSITIONS: Mapping[str, str] = {
    "STANDARD_IA": "S3.TRANSITION_SIA.OBJECT",
    "ONEZONE_IA": "S3.TRANSITION_ZIA.OBJECT",
    "INTELLIGENT_TIERING": "S3.TRANSITION_INT.OBJECT",
    "GLACIER_IR": "S3.TRANSITION_GIR.OBJECT",
    "GLACIER": "S3.TRANSITION.OBJECT",
    "DEEP_ARCHIVE": "S3.TRANSITION_GDA.OBJECT",
}
LIFECYCLE_REQUESTER = "AmazonS3"


def keep_lifecycle(logs: LogDelivery) -> Callable[[Bucket, report.Action], None]:
    """A function that notes what a bucket's lifecycle rules did in its log, if it keeps one.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-and-other-bucket-config.html
    """

    def keep(bucket: Bucket, action: report.Action) -> None:
        if bucket.configs and log_target(bucket) is not None:
            record = _by_lifecycle(bucket, action)
            logs.add(bucket, record.line(), record.event)

    return keep


def lifecycle_operation(action: report.Action, versioned: bool) -> str:
    """What AWS's log calls something that a lifecycle rule did."""
    if action.storage_class:
        return _TRANSITIONS.get(action.storage_class, f"S3.TRANSITION_{action.storage_class}.OBJECT")
    if action.action == report.EXPIRE and versioned:
        return "S3.CREATE.DELETEMARKER"
    return _LIFECYCLE[action.action]


def _by_lifecycle(bucket: Bucket, action: report.Action) -> Record:
    return Record(
        bucket=bucket.name,
        event=time.time(),
        client="",
        requester=LIFECYCLE_REQUESTER,
        request_id=secrets.token_hex(8).upper(),
        operation=lifecycle_operation(action, versioning_of(bucket) is not None),
        key=action.key,
        uri="",
        status=0,
        error="",
        sent=0,
        object_size=None,
        total_ms=None,
        turn_around_ms=None,
        referer="",
        user_agent="",
        version_id="" if action.action == report.ABORT else action.version_id,
        host_id=NONE,
        signature_version="",
        auth_type="",
        host="",
        acl_required=False,
    )


def _millis(seconds: float) -> int:
    return max(0, int(seconds * 1000))


def _object_size(visit: Visit, headers: Headers) -> int | None:
    """The size of the object that was read or written; None where none was."""
    if visit.status >= 300:
        return None
    if visit.operation in ("GetObject", "HeadObject"):
        return _size_of_answer(headers)
    if visit.operation in ("PutObject", "UploadPart") and visit.body is not None:
        return visit.body.length
    if visit.operation == "PostObject" and visit.call is not None:
        return visit.call.body.length
    return None


def _size_of_answer(headers: Headers) -> int | None:
    """The size of the whole object that a GET or a HEAD answers with."""
    length = None
    for name, value in headers:
        if name == b"content-range":
            total = value.rpartition(b"/")[2]
            return int(total) if total.isdigit() else None
        if name == b"content-length":
            length = int(value)
    return length
