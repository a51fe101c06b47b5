"""Encryption as requests ask for it and answers tell of it, the same for every operation that writes or reads.

A write: ``wanted_encryption`` reads what it asks for, by S3's member names; ``encryption_members`` is what its answer
tells. A read: ``customer_key`` and ``check_reader``. Whoever declares the members takes them from these lists.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gateway.bucket_configs import ENCRYPTION
from gateway.encryption import (
    BY_SERVER,
    SSE_C,
    SSE_KMS,
    SSE_S3,
    BucketEncryption,
    CustomerKey,
    Encryption,
    Wanted,
    check_reader,
)
from gateway.s3.call import Call
from gateway.s3.errors import (
    AccessDenied,
    InvalidArgument,
    InvalidEncryptionAlgorithmError,
    InvalidRequest,
    NotImplemented_,
)
from gateway.types import Bucket, ObjectInfo, Upload

HEADER = "x-amz-server-side-encryption"
_RAW_HEADER = HEADER.encode()
_CUSTOMER = "Requests specifying Server Side Encryption with Customer provided keys must provide "
_CUSTOMER_MEMBERS = {
    prefix: (f"{prefix}Algorithm", f"{prefix}Key", f"{prefix}KeyMD5")
    for prefix in ("SSECustomer", "CopySourceSSECustomer")
}
TOLD = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled", "SSECustomerAlgorithm")
"""Members by which a write says how its object is to be encrypted."""
_ASKING = frozenset({*TOLD, *_CUSTOMER_MEMBERS["SSECustomer"]})


def wanted_encryption(call: Call, bucket: Bucket, members: Mapping[str, Any]) -> Wanted | None:
    """How a new object is to be encrypted, as the request says; None where it does not, and the defaults hold.

    Raises InvalidArgument, InvalidEncryptionAlgorithmError, NotImplemented, and AccessDenied for what the bucket
    does not take.
    """
    if _ASKING.isdisjoint(members):
        return None
    told = members.get("ServerSideEncryption")
    customer = customer_key(members)
    default = bucket.config(ENCRYPTION, BucketEncryption.load) if bucket.configs else None
    if customer is not None:
        if told is not None:
            raise _invalid(
                "Server Side Encryption with Customer provided key is incompatible with the encryption method "
                "specified",
                told,
            )
        _refuse_blocked(call, bucket, default, members)
        return Wanted(Encryption(SSE_C, verifier=customer.new_verifier()), customer)
    _check_method(told, members)
    if told == SSE_KMS:
        return Wanted(_kms(members, default))
    if told == SSE_S3:
        return Wanted(BY_SERVER)
    if default is not None and default.kind == SSE_KMS and members.get("BucketKeyEnabled") is not None:
        return Wanted(Encryption(SSE_KMS, default.key_id, "", _bucket_key(members, default)))
    return None


def _check_method(told: str | None, members: Mapping[str, Any]) -> None:
    if told == "aws:kms:dsse":
        raise NotImplemented_(Header=HEADER)
    if told is not None and told not in (SSE_S3, SSE_KMS):
        raise _invalid("The encryption method specified is not supported", told)
    if told != SSE_KMS and (members.get("SSEKMSKeyId") or members.get("SSEKMSEncryptionContext")):
        raise _invalid(
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : "
            "aws:kms",
            told,
        )


def _kms(members: Mapping[str, Any], default: BucketEncryption | None) -> Encryption:
    context = _context(members.get("SSEKMSEncryptionContext"))
    return Encryption(SSE_KMS, members.get("SSEKMSKeyId") or "", context, _bucket_key(members, default))


def _bucket_key(members: Mapping[str, Any], default: BucketEncryption | None) -> bool:
    told = members.get("BucketKeyEnabled")
    return bool(told) if told is not None else default is not None and default.bucket_key


def _context(text: str | None) -> str:
    """The client's encryption context, in one form for all its spellings."""
    if not text:
        return ""
    try:
        pairs = json.loads(base64.b64decode(text, validate=True))
        if isinstance(pairs, dict) and _is_context(pairs):
            return json.dumps(pairs, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        pass
    raise InvalidArgument(
        "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which "
        "represents a string-string map",
        ArgumentName="x-amz-server-side-encryption-context",
        ArgumentValue=text,
    )


def _is_context(pairs: dict[str, Any]) -> bool:
    """Text by text; names below ``aws:`` are the server's to give."""
    return all(isinstance(value, str) and not name.startswith("aws:") for name, value in pairs.items())


def _refuse_blocked(call: Call, bucket: Bucket, default: BucketEncryption | None, members: Mapping[str, Any]) -> None:
    """Raise AccessDenied for a write under a customer's key to a bucket that takes none.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html
    """
    if default is None or SSE_C not in (default.blocked or ()):
        return
    who = call.principal.user_id if call.principal is not None else "anonymous"
    raise AccessDenied(
        f"User: {who} is not authorized to perform: s3:PutObject on resource: "
        f'"arn:aws:s3:::{bucket.name}/{members.get("Key", "")}" '
        "because this bucket has blocked upload requests that specify Server Side Encryption with Customer provided "
        "keys (SSE-C). Please specify a different server-side encryption type"
    )


def _invalid(message: str, value: str | None, name: str = HEADER) -> InvalidArgument:
    return InvalidArgument(message, ArgumentName=name, ArgumentValue="null" if value is None else value)


def customer_key(members: Mapping[str, Any], prefix: str = "SSECustomer") -> CustomerKey | None:
    """The key that came with a request, if one did. No error repeats it.

    Raises InvalidArgument, InvalidEncryptionAlgorithmError.
    """
    algorithm, key, md5 = map(members.get, _CUSTOMER_MEMBERS[prefix])
    if algorithm is None and key is None and md5 is None:
        return None
    if not algorithm:
        raise _invalid(f"{_CUSTOMER}a valid encryption algorithm.", None)
    if algorithm != "AES256":
        raise InvalidEncryptionAlgorithmError(ArgumentName=HEADER, ArgumentValue=algorithm)
    if not key:
        raise _invalid(f"{_CUSTOMER}an appropriate secret key.", None)
    if not md5:
        raise _invalid(f"{_CUSTOMER}the client calculated MD5 of the secret key.", None)
    try:
        raw = base64.b64decode(key, validate=True)
    except ValueError:
        raise _invalid("The secret key was invalid for the specified algorithm.", None) from None
    if base64.b64encode(hashlib.md5(raw, usedforsecurity=False).digest()).decode() != md5:
        raise _invalid("The calculated MD5 hash of the key did not match the hash that was provided.", None)
    if len(raw) != 32:
        raise _invalid("The secret key was invalid for the specified algorithm.", None)
    return CustomerKey(raw, md5)


def reader_key(call: Call, info: ObjectInfo, members: Mapping[str, Any]) -> CustomerKey | None:
    """The key to read an object with; it is the right one, and none where none is needed.

    Raises CustomerKeyNeeded, CustomerKeyNotApplicable, WrongCustomerKey, InvalidArgument.
    """
    told = call.headers.get(_RAW_HEADER)
    if told is not None:
        raise _invalid(f"{HEADER} header is not supported for this operation.", told.decode("latin-1"))
    key = customer_key(members) if len(members) > 2 else None  # besides the bucket and the key
    if key is not None or info.encryption is not None:
        check_reader(info.encryption, key)
    return key


def source_key(info: ObjectInfo, members: Mapping[str, Any]) -> CustomerKey | None:
    """The key to read the source of a copy with. Raises as ``reader_key``."""
    key = customer_key(members, "CopySourceSSECustomer")
    check_reader(info.encryption, key)
    return key


def new_part_key(call: Call, bucket: Bucket, upload: Upload, members: Mapping[str, Any]) -> CustomerKey | None:
    """The key that came with a part. Raises as ``part_key``, and AccessDenied."""
    key = part_key(upload, members, needed=True)
    if key is not None and bucket.configs:
        _refuse_blocked(call, bucket, bucket.config(ENCRYPTION, BucketEncryption.load), members)
    return key


def part_key(upload: Upload, members: Mapping[str, Any], *, needed: bool = False) -> CustomerKey | None:
    """The key that came with a request about an upload, which must be the one it was begun with.

    Raises InvalidRequest, InvalidArgument.
    """
    key = customer_key(members)
    encryption = upload.encryption
    by_customer = encryption is not None and encryption.kind == SSE_C
    if (key is not None and not by_customer) or (key is None and by_customer and needed):
        raise InvalidRequest(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the "
            "appropriate encryption parameters."
        )
    if key is not None and encryption is not None and not key.matches(encryption.verifier):
        raise InvalidRequest("The provided encryption parameters did not match the ones used originally.")
    return key


def encryption_members(
    encryption: Encryption | None, customer: CustomerKey | None = None, *, context: bool = False
) -> dict[str, Any]:
    """What answers tell of how an object is encrypted; those to writes also the client's ``context``."""
    if encryption is None:
        return {}
    if encryption.kind == SSE_C:
        if customer is None:
            return {}
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": customer.md5}
    members: dict[str, Any] = {"ServerSideEncryption": encryption.kind}
    if encryption.kind == SSE_KMS:
        members["SSEKMSKeyId"] = encryption.key_id
        if encryption.bucket_key:
            members["BucketKeyEnabled"] = True
        if context and encryption.context:
            members["SSEKMSEncryptionContext"] = base64.b64encode(encryption.context.encode()).decode()
    return members
