"""What a policy's conditions may ask of an S3 request.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gateway.auth.sigv4 import IN_QUERY, VERSION_2
from gateway.policy import Context
from gateway.s3.call import Call
from gateway.s3.operations.common import parse_tag_header
from gateway.s3.parse import decode_header, split_copy_source
from gateway.standing import caller_of
from gateway.types import ObjectInfo

_EXISTING_TAG, _REQUEST_TAG = "s3:existingobjecttag/", "s3:requestobjecttag/"
_HEADER = "s3:x-amz-"
CONTENT = "x-amz-content-sha256"
_DAY = 86400.0


def context_of(
    call: Call, info: ObjectInfo | None = None, *, prefix: str | None = None, version_id: str | None = None
) -> Context:
    """The condition keys of a request; ``info`` is the object that it is about.

    ``prefix`` stands for the query's, and so does ``version_id``: of a copy's source, of one of several to delete.
    """

    def lookup(key: str) -> Sequence[str] | None:
        read = _KEYS.get(key)
        if read is not None:
            if prefix is not None and key == "s3:prefix":
                return [prefix]
            if version_id is not None and key == "s3:versionid":
                return [version_id]
            found = read(call)
            return [found] if isinstance(found, str) else found
        if key.startswith(_EXISTING_TAG):
            return _tag(info.attributes.tags if info is not None else (), key[len(_EXISTING_TAG) :])
        if key.startswith(_REQUEST_TAG):
            return _tag(_request_tags(call), key[len(_REQUEST_TAG) :])
        if key.startswith(_HEADER):
            return _header(key[3:])(call)
        return None

    return lookup


def _tag(tags: Sequence[tuple[str, str]], name: str) -> list[str] | None:
    return next(([value] for key, value in tags if key == name), None)


def _request_tags(call: Call) -> Sequence[tuple[str, str]]:
    """The tags that a request sets, by a header or as its document. A copy that keeps the source's sets none."""
    if call.operation.name == "CopyObject" and call.members.get("TaggingDirective") != "REPLACE":
        return ()
    told = call.members.get("Tagging")
    if isinstance(told, dict):
        return [(tag.get("Key", ""), tag.get("Value") or "") for tag in told.get("TagSet") or []]
    return parse_tag_header(told)


def _header(name: str) -> Callable[[Call], list[str] | None]:
    def read(call: Call) -> list[str] | None:
        raw = call.headers.get(name.encode())
        return None if raw is None else [decode_header(raw)]

    return read


def _query(name: str) -> Callable[[Call], list[str] | None]:
    return lambda call: [call.query[name]] if name in call.query else None


def _copy_source(call: Call) -> list[str] | None:
    """``bucket/key``, in whatever form the header told it; nothing else than a copy has it."""
    found = call.members.get("CopySource")
    if found is None:
        return None
    try:
        bucket, key, _ = split_copy_source(found)
    except UnicodeDecodeError:
        return [found]
    return [f"{bucket}/{key}"]


def _signed_content(call: Call) -> list[str] | None:
    """What a request says of its payload; the header of a presigned URL says nothing where it was not signed.

    Such a URL has UNSIGNED-PAYLOAD, by which policies shut it out.
    https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
    """
    told = _header(CONTENT)(call)
    if call.auth_type != IN_QUERY or (call.signature_version == VERSION_2 and told is not None):
        return told
    if told is not None and CONTENT in call.query.get("X-Amz-SignedHeaders", "").split(";"):
        return told
    return [next((value for name, value in call.query.items() if name.lower() == CONTENT), "UNSIGNED-PAYLOAD")]


def _username(call: Call) -> str | None:
    return None if call.principal is None else call.principal.user_id


def _retention_days(call: Call) -> str | None:
    until = call.members.get("ObjectLockRetainUntilDate")
    if until is None:
        until = (call.members.get("Retention") or {}).get("RetainUntilDate")
    return None if until is None else str(int((until.timestamp() - time.time()) // _DAY))


def _retain_until(call: Call) -> str | None:
    until = call.members.get("ObjectLockRetainUntilDate")
    if until is None:
        until = (call.members.get("Retention") or {}).get("RetainUntilDate")
    return None if until is None else str(until.isoformat())


def _lock_mode(call: Call) -> str | None:
    return call.members.get("ObjectLockMode") or (call.members.get("Retention") or {}).get("Mode")


def _legal_hold(call: Call) -> str | None:
    return call.members.get("ObjectLockLegalHoldStatus") or (call.members.get("LegalHold") or {}).get("Status")


def _age(call: Call) -> str | None:
    """How old a signature is; those of Version 2 have no age.

    https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
    """
    if call.signature_version == "AWS":
        return "0"
    return None if call.signed_at is None else str(max(0, int((time.time() - call.signed_at) * 1000)))


_KEYS: dict[str, Callable[[Call], str | list[str] | None]] = {
    "aws:currenttime": lambda call: datetime.now(UTC).isoformat(),
    "aws:epochtime": lambda call: str(int(time.time())),
    "aws:sourceip": lambda call: call.client or None,
    "aws:securetransport": lambda call: "true" if call.secure else "false",
    "aws:useragent": _header("user-agent"),
    "aws:referer": _header("referer"),
    "aws:principalarn": lambda call: caller_of(call.principal).arn,
    "aws:principalaccount": lambda call: None if call.principal is None else call.principal.tenant,
    "aws:principaltype": lambda call: "Anonymous" if call.principal is None else "User",
    "aws:principalisawsservice": lambda call: "false",
    "aws:viaawsservice": lambda call: "false",
    "aws:userid": lambda call: "anonymous" if call.principal is None else call.principal.user_id,
    "aws:username": _username,
    "aws:requestedregion": lambda call: call.core.settings.region,
    "s3:authtype": lambda call: call.auth_type or None,
    "s3:signatureage": _age,
    "s3:signatureversion": lambda call: call.signature_version or None,
    "s3:prefix": _query("prefix"),
    "s3:delimiter": _query("delimiter"),
    "s3:max-keys": _query("max-keys"),
    "s3:versionid": _query("versionId"),
    "s3:if-match": _header("if-match"),
    "s3:if-none-match": _header("if-none-match"),
    "s3:requestobjecttagkeys": lambda call: [key for key, _ in _request_tags(call)] or None,
    "s3:object-lock-mode": _lock_mode,
    "s3:object-lock-retain-until-date": _retain_until,
    "s3:object-lock-remaining-retention-days": _retention_days,
    "s3:object-lock-legal-hold": _legal_hold,
    "s3:objectcreationoperation": lambda call: (
        "true"
        if call.operation.name in ("PutObject", "CopyObject", "CompleteMultipartUpload", "CreateMultipartUpload")
        else "false"
    ),
    "s3:x-amz-content-sha256": _signed_content,
    "s3:x-amz-copy-source": _copy_source,
}
"""By key, what a request tells. A key that is not here, and no header, requests never have."""
