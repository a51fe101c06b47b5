"""Random requests of alpha's: every operation of S3's model and every method of the Nexus door, mostly well formed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from conformance.isolation.wire import REGION, Credentials, Request, gap, signing_key
from conformance.isolation.world import FOREIGN, KNOWN_CONTENT, OWN, PEOPLE
from gateway.rpc import all_methods as _all_methods  # noqa: F401  (fills the table)
from gateway.rpc.methods import METHODS
from gateway.s3.model import Operation, operations

WHO = (*PEOPLE, *PEOPLE, None)
OTHERS = (*FOREIGN, "workspace")
KEYS = ("dir/x", "dir/y", "dir/", "dirx", "z", "plan.txt", "reports/q1", "reports/", "../b-secret/plan.txt", "ü +", "")
USERS = ("bob", "bea", "gwen", "ann", "amy", "nobody-at-all", "root")
SUBJECTS = (*USERS, "group:b-team", "group:a-team", "group:none")
TENANTS = ("alpha", "beta", "gamma", "default", "no-tenant")
PRINCIPALS: tuple[Any, ...] = (
    "*",
    *({"AWS": name} for name in ("beta", "gamma", "alpha", "no-tenant")),
    *(
        {"AWS": f"arn:aws:iam::{name}"}
        for name in ("beta:user/bob", "gamma:user/gwen", "alpha:user/amy", "alpha:user/bob")
    ),
    {"AWS": "arn:aws:iam:::user/bob"},
)
CONTENTS = (b"", b"alpha's own words", KNOWN_CONTENT, b"y" * 3000)
RARE = {"grep": 0.02, "fsck": 0.2, "stats": 0.2}
"""Methods that take long, and how often they are let through when chosen."""


class Move(NamedTuple):
    """A request of somebody's; ``form`` is one whose fields are signed instead."""

    who: str | None
    request: Request
    in_query: bool = False
    form: Callable[[Credentials], Request] | None = None


def random_move(rng: Random) -> Move:
    who = rng.choice(WHO)
    kind = rng.random()
    if kind < 0.42:
        return Move(who, _rpc(rng))
    if kind < 0.46:
        return Move(who, _stream(rng))
    if kind < 0.49 and who is not None:
        bucket, key, content = _bucket(rng), rng.choice(KEYS) or "z", rng.choice(CONTENTS)
        return Move(
            who, Request("POST", f"/{bucket}"), form=lambda credentials: _form(credentials, bucket, key, content)
        )
    if kind < 0.5:
        headers = {"x-amz-account-id": rng.choice(TENANTS)}
        return Move(
            who, Request(rng.choice(("GET", "DELETE")), "/v20180820/configuration/publicAccessBlock", {}, headers)
        )
    if kind < 0.75:
        return Move(who, _common(rng), in_query=rng.random() < 0.15)
    return Move(who, _any_operation(rng), in_query=rng.random() < 0.1)


def _bucket(rng: Random) -> str:
    chance = rng.random()
    if chance < 0.5:
        return rng.choice(OWN)
    return rng.choice(OTHERS) if chance < 0.93 else rng.choice(("a-new", "no-such-bucket"))


def _path(rng: Random) -> str:
    if rng.random() < 0.06:
        return "/"
    key = rng.choice(KEYS)
    return f"/{_bucket(rng)}/{key}" if key else f"/{_bucket(rng)}"


# -- S3


def _common(rng: Random) -> Request:
    """What clients do all day, so that there is something to meet."""
    bucket, key = _bucket(rng), rng.choice(KEYS[:-1])
    path = f"/{bucket}/{key}"
    return rng.choice(
        (
            Request("PUT", path, {}, _headers(rng), rng.choice(CONTENTS)),
            Request("GET", path, _version(rng), _headers(rng)),
            Request("HEAD", path, _version(rng), _headers(rng)),
            Request("DELETE", path, _version(rng), _headers(rng)),
            Request("GET", f"/{bucket}", {"list-type": "2", **_listing(rng)}),
            Request("GET", f"/{bucket}", {"versions": "", **_listing(rng)}),
            Request("GET", f"/{bucket}", {"uploads": "", **_listing(rng)}),
            Request("PUT", path, {}, {"x-amz-copy-source": _source(rng), **_headers(rng)}),
            Request("POST", path, {"uploads": ""}, _headers(rng)),
            Request("PUT", path, _part(rng), {}, rng.choice(CONTENTS)),
            Request("PUT", path, _part(rng), {"x-amz-copy-source": _source(rng)}),
            Request("GET", path, {"uploadId": gap("upload", rng.randrange(6))}),
            Request("POST", f"/{bucket}", {"delete": ""}, *_with_md5(_deletion(rng))),
            Request("GET", "/"),
            Request("PUT", f"/{rng.choice((*OWN, *OTHERS, 'a-new'))}"),
        )
    )


def _any_operation(rng: Random) -> Request:
    """One of the model's operations."""
    operation = rng.choice(_OPERATIONS)
    path = {"service": "/", "bucket": f"/{_bucket(rng)}", "key": f"/{_bucket(rng)}/{rng.choice(KEYS[:-1])}"}[
        operation.level
    ]
    query = {name: value or "" for name, value in operation.selectors}
    for name in operation.required_query:
        query.setdefault(name, _QUERY.get(name, lambda rng: "1")(rng))
    if operation.level == "key":
        query |= _version(rng)
    elif operation.method == "GET":
        query |= _listing(rng)
    headers = _headers(rng)
    if operation.selecting_header is not None:
        headers[operation.selecting_header.decode()] = _source(rng)
    body = _document(rng, operation)
    return Request(operation.method, path, query, {**headers, **_with_md5(body)[0]} if body else headers, body)


_OPERATIONS = sorted(operations().values(), key=lambda operation: operation.name)
_QUERY: dict[str, Callable[[Random], str]] = {
    "uploadId": lambda rng: gap("upload", rng.randrange(6)),
    "partNumber": lambda rng: str(rng.randint(1, 3)),
    "id": lambda rng: "x",
}


def _version(rng: Random) -> dict[str, str]:
    if rng.random() < 0.7:
        return {}
    return {"versionId": rng.choice((gap("version", rng.randrange(8)), gap("version", 0), "null"))}


def _part(rng: Random) -> dict[str, str]:
    return {"uploadId": gap("upload", rng.randrange(4)), "partNumber": str(rng.randint(1, 3))}


def _source(rng: Random) -> str:
    version = f"?versionId={gap('version', rng.randrange(4))}" if rng.random() < 0.2 else ""
    return f"/{_bucket(rng)}/{rng.choice(KEYS[:7])}{version}"


def _listing(rng: Random) -> dict[str, str]:
    options = {
        "prefix": rng.choice(("", "dir", "dir/", "rep", "reports/", "plan")),
        "delimiter": rng.choice(("/", "x")),
        "max-keys": str(rng.choice((1, 2, 30))),
        "key-marker": rng.choice(KEYS[:7]),
        "start-after": rng.choice(KEYS[:7]),
        "encoding-type": "url",
        "fetch-owner": "true",
    }
    return {name: value for name, value in options.items() if rng.random() < 0.25}


def _headers(rng: Random) -> dict[str, str]:
    group = "http://acs.amazonaws.com/groups/global/AllUsers"
    options = {
        "if-match": rng.choice(("*", gap("etag", rng.randrange(5)), hashlib.md5(KNOWN_CONTENT).hexdigest())),
        "if-none-match": rng.choice(("*", gap("etag", rng.randrange(5)), hashlib.md5(KNOWN_CONTENT).hexdigest())),
        "x-amz-copy-source-if-match": gap("etag", rng.randrange(5)),
        "x-amz-expected-bucket-owner": rng.choice(TENANTS),
        "x-amz-acl": rng.choice(("private", "public-read", "bucket-owner-full-control")),
        "x-amz-grant-read": f'uri="{group}"',
        "x-amz-tagging": "a=b",
        "x-amz-meta-note": "alpha",
        "x-amz-metadata-directive": rng.choice(("COPY", "REPLACE")),
        "x-amz-request-payer": "requester",
        "x-amz-bypass-governance-retention": "true",
        "x-amz-server-side-encryption": "AES256",  # others make ETags that are no digests
        "x-amz-storage-class": rng.choice(("STANDARD_IA", "NONE")),
        "range": rng.choice(("bytes=0-3", "bytes=-2", "bytes=99999-")),
        "x-amz-object-attributes": "ETag,ObjectSize,StorageClass",
        "origin": "http://elsewhere.test",
    }
    return {name: value for name, value in options.items() if rng.random() < 0.06}


def _with_md5(body: bytes) -> tuple[dict[str, str], bytes]:
    return {"content-md5": ""}, body  # computed once the body is complete


def _xml(root: str, inner: str) -> bytes:
    return f"<{root}>{inner}</{root}>".encode()


def _deletion(rng: Random) -> bytes:
    keys = (rng.choice(KEYS[:9]) for _ in range(rng.randint(1, 3)))
    return _xml("Delete", "".join(f"<Object><Key>{key}</Key></Object>" for key in keys))


def _policy(rng: Random, bucket: str) -> bytes:
    statement = {
        "Effect": rng.choice(("Allow", "Allow", "Deny")),
        "Principal": rng.choice(PRINCIPALS),
        "Action": rng.choice(("s3:GetObject", "s3:*", "s3:ListBucket", "s3:PutObject")),
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def _acl(rng: Random) -> bytes:
    group = rng.choice(("AllUsers", "AuthenticatedUsers"))
    grantee = (
        '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">'
        f"<URI>http://acs.amazonaws.com/groups/global/{group}</URI></Grantee>"
    )
    inner = f"<Grant>{grantee}<Permission>{rng.choice(('READ', 'WRITE', 'FULL_CONTROL'))}</Permission></Grant>"
    return _xml(
        "AccessControlPolicy",
        f"<Owner><ID>{gap('canonical', 0)}</ID></Owner><AccessControlList>{inner}</AccessControlList>",
    )


def _tags(rng: Random) -> bytes:
    return _xml("Tagging", f"<TagSet><Tag><Key>a</Key><Value>{rng.randrange(3)}</Value></Tag></TagSet>")


def _rule(*inner: str) -> str:
    return f"<Rule><ID>r</ID><Filter><Prefix>dir/</Prefix></Filter><Status>Enabled</Status>{''.join(inner)}</Rule>"


_DOCUMENTS: dict[str, Callable[[Random], bytes]] = {
    "PutBucketVersioning": lambda rng: _xml(
        "VersioningConfiguration", f"<Status>{rng.choice(('Enabled', 'Suspended'))}</Status>"
    ),
    "PutBucketPolicy": lambda rng: _policy(rng, rng.choice(OWN + OTHERS)),
    "PutBucketAcl": _acl,
    "PutObjectAcl": _acl,
    "PutBucketTagging": _tags,
    "PutObjectTagging": _tags,
    "PutBucketCors": lambda rng: _xml(
        "CORSConfiguration",
        "<CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule>",
    ),
    "PutBucketWebsite": lambda rng: _xml(
        "WebsiteConfiguration", "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
    ),
    "PutBucketLogging": lambda rng: _xml(
        "BucketLoggingStatus",
        f"<LoggingEnabled><TargetBucket>{rng.choice(OWN + OTHERS)}</TargetBucket>"
        "<TargetPrefix>log/</TargetPrefix></LoggingEnabled>",
    ),
    "PutBucketEncryption": lambda rng: _xml(
        "ServerSideEncryptionConfiguration",
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
        "</ApplyServerSideEncryptionByDefault></Rule>",
    ),
    "PutBucketOwnershipControls": lambda rng: _xml(
        "OwnershipControls",
        "<Rule><ObjectOwnership>"
        f"{rng.choice(('ObjectWriter', 'BucketOwnerPreferred', 'BucketOwnerEnforced'))}</ObjectOwnership></Rule>",
    ),
    "PutPublicAccessBlock": lambda rng: _xml(
        "PublicAccessBlockConfiguration", f"<BlockPublicAcls>{rng.choice(('true', 'false'))}</BlockPublicAcls>"
    ),
    "PutBucketRequestPayment": lambda rng: _xml("RequestPaymentConfiguration", "<Payer>Requester</Payer>"),
    "PutBucketLifecycleConfiguration": lambda rng: _xml(
        "LifecycleConfiguration", _rule("<Expiration><Days>9000</Days></Expiration>")
    ),
    "PutObjectLegalHold": lambda rng: _xml("LegalHold", f"<Status>{rng.choice(('ON', 'OFF'))}</Status>"),
    "DeleteObjects": _deletion,
    "CompleteMultipartUpload": lambda rng: _xml(
        "CompleteMultipartUpload",
        f"<Part><PartNumber>1</PartNumber><ETag>{hashlib.md5(rng.choice(CONTENTS)).hexdigest()}</ETag></Part>",
    ),
}


def _document(rng: Random, operation: Operation) -> bytes:
    if operation.name in _DOCUMENTS:
        return _DOCUMENTS[operation.name](rng)
    if operation.body_kind == "stream":
        return rng.choice(CONTENTS)
    return b"" if operation.body_kind == "none" or rng.random() < 0.7 else b"<Nonsense/>"


def _form(key: Credentials, bucket: str, name: str, content: bytes) -> Request:
    """A browser's upload, signed over its policy."""
    now = datetime.now(UTC)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    fields = {
        "key": name,
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{key.access_key}/{stamp[:8]}/{REGION}/s3/aws4_request",
        "x-amz-date": stamp,
    }
    conditions: list[Any] = [{"bucket": bucket}, *({field: value} for field, value in fields.items())]
    expiration = (now + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    policy = base64.b64encode(json.dumps({"expiration": expiration, "conditions": conditions}).encode()).decode()
    signature = hmac.new(signing_key(key.secret, stamp[:8]), policy.encode(), hashlib.sha256).hexdigest()
    parts = b"".join(
        f'--edge\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
        for field, value in {**fields, "policy": policy, "x-amz-signature": signature}.items()
    )
    file = (
        b'--edge\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + content + b"\r\n--edge--\r\n"
    )
    return Request("POST", f"/{bucket}", {}, {"content-type": "multipart/form-data; boundary=edge"}, parts + file)


# -- the Nexus door


def _stream(rng: Random) -> Request:
    path = f"/api/nfs/stream{_path(rng)}"
    if rng.random() < 0.5:
        return Request("GET", path)
    return Request("PUT", path, {}, _headers(rng), rng.choice(CONTENTS))


def _rpc(rng: Random) -> Request:
    if rng.random() < 0.02:
        return Request("GET", rng.choice(("/api/auth/whoami", "/api/nfs/status", "/metrics")))
    while True:
        name = rng.choice(_ON_TREE if rng.random() < 0.75 else _METHODS)
        if rng.random() < RARE.get(name, 1.0):
            break
    params = {
        parameter: _parameter(rng, name, parameter, hint)
        for parameter, (hint, needed) in METHODS[name].declared.items()
        if needed or rng.random() < 0.4
    }
    return Request("POST", f"/api/nfs/{name}", body=json.dumps({"params": params}).encode())


_METHODS = sorted(METHODS)
_ON_TREE = [name for name in _METHODS if METHODS[name].on_tree]
_BY_NAME: dict[str, Callable[[Random], Any]] = {
    **dict.fromkeys(("path", "new_path", "old_path", "mount_point", "after", "prefix"), _path),
    **dict.fromkeys(("user_id", "owner_user_id", "user", "subject_id"), lambda rng: rng.choice(USERS)),
    **dict.fromkeys(("tenant_id",), lambda rng: rng.choice(TENANTS)),
    **dict.fromkeys(("content", "chunks"), lambda rng: _bytes(rng.choice(CONTENTS))),
    "subject": lambda rng: rng.choice(SUBJECTS),
    "group_id": lambda rng: rng.choice(("a-team", "b-team", "none")),
    "role": lambda rng: rng.choice(("viewer", "editor", "owner", "king")),
    "action": lambda rng: rng.choice(("read", "write", "s3:GetObject")),
    "paths": lambda rng: [_path(rng) for _ in range(rng.randint(1, 3))],
    "prefixes": lambda rng: [_path(rng)],
    "renames": lambda rng: [[_path(rng), _path(rng)]],
    "files": lambda rng: [[_path(rng), _bytes(rng.choice(CONTENTS))] for _ in range(rng.randint(1, 2))],
    "pattern": lambda rng: rng.choice(("*", "**/*", "**/*.txt", "/b-secret/*", "content")),
    "if_match": lambda rng: rng.choice((hashlib.sha256(KNOWN_CONTENT).hexdigest(), "x")),
    "metadata": lambda rng: {"note": "alpha"},
    "backend_type": lambda rng: "local",
    "mode": lambda rng: rng.choice(("metadata", "content")),
    "limit": lambda rng: rng.choice((1, 3, 100)),
    "recursive": lambda rng: rng.random() < 0.5,
}


def _parameter(rng: Random, method: str, name: str, hint: Any) -> Any:
    # What is after something is a number where methods count.
    if name in _BY_NAME and not (name == "after" and hint is int):
        return _BY_NAME[name](rng)
    text = str(hint)
    if "bool" in text:
        return rng.random() < 0.5
    if "int" in text or "float" in text:
        return rng.randint(0, 4)
    return {} if "dict" in text else rng.choice(("x", "*", "a-one", "b-secret"))


def _bytes(content: bytes) -> dict[str, str]:
    return {"__type__": "bytes", "data": base64.b64encode(content).decode()}
