"""What let somebody in at other S3 servers: docs/security.md says where, and that it does not here."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import httpx
import pytest
from botocore.client import BaseClient

from gateway.rpc import all_methods as _all_methods  # noqa: F401  (fills the table)
from gateway.rpc.methods import METHODS
from tests.e2e.harness import Key, Server, keys_of, refused, unique
from tests.e2e.rpc import Rpc
from tests.e2e.signing import SIGNED, SIGNED_TRAILER, UNSIGNED, UNSIGNED_TRAILER, Raw, Signed

BODY = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
"""In chunks without signatures, its trailer right."""


@pytest.fixture
def raw(server: Server) -> Raw:
    return Raw(server)


@pytest.fixture(scope="module")
def stranger(server: Server) -> Key:
    """A user who owns nothing of what tests make."""
    return server.user(unique("mallory"), unique("mallory"))


@pytest.fixture
def strangers(server: Server, stranger: Key) -> Iterator[BaseClient]:
    client = server.s3(stranger)
    yield client
    client.close()


def code(body: bytes) -> str:
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


def nobody(server: Server, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    """A request without credentials."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read()


# -- signatures


@pytest.mark.parametrize(
    "payload", [UNSIGNED_TRAILER, SIGNED, SIGNED_TRAILER, UNSIGNED, hashlib.sha256(BODY).hexdigest()]
)
@pytest.mark.parametrize("where", ["header", "query", "nowhere", "key alone"])
def test_no_kind_of_payload_goes_without_a_signature(
    raw: Raw, s3: BaseClient, bucket: str, payload: str, where: str
) -> None:
    """Each with a known access key and a signature that anybody can make up."""
    framing = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "x-amz-checksum-crc32"}
    signed = raw.sign("PUT", f"/{bucket}/key", headers=framing if "TRAILER" in payload else {}, payload=payload)
    headers, query = dict(signed.headers), {}
    authorization = headers.pop("authorization")
    if where == "header":
        headers["authorization"] = authorization[:-64] + "0" * 64
    elif where == "key alone":
        headers["authorization"] = authorization.partition(", SignedHeaders")[0]
    elif where == "query":
        query = {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": f"{raw.server.admin.access_key}/{signed.scope}",
            "X-Amz-Date": signed.stamp,
            "X-Amz-Expires": "600",
            "X-Amz-SignedHeaders": ";".join(sorted(headers)),
            "X-Amz-Signature": "0" * 64,
        }
    status, _, body = raw.exchange("PUT", f"/{bucket}/key", query, headers, BODY)
    assert status in (400, 403), body
    assert keys_of(s3, bucket) == []


def test_a_signature_without_a_date_is_none(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """It would be good for ever."""
    signed = raw.sign("PUT", f"/{bucket}/key").headers
    del signed["x-amz-date"]
    status, _, body = raw.exchange("PUT", f"/{bucket}/key", None, signed, b"x")
    assert (status, code(body)) == (403, "AccessDenied")
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize("service", ["s3tables", "iam", "sts", "", "S3"])
def test_a_signature_for_another_service_is_none(raw: Raw, bucket: str, service: str) -> None:
    signed = raw.sign("GET", f"/{bucket}").headers
    signed["authorization"] = signed["authorization"].replace("/s3/aws4_request", f"/{service}/aws4_request")
    status, _, body = raw.exchange("GET", f"/{bucket}", None, signed, b"")
    assert (status, code(body)) == (400, "AuthorizationHeaderMalformed")


@pytest.mark.parametrize("access_key", ["minioadmin", "rustfsadmin", "admin", "test", "any", "AKIAIOSFODNN7EXAMPLE"])
@pytest.mark.parametrize("secret", ["minioadmin", "", "test"])
def test_no_key_is_there_from_the_start(server: Server, access_key: str, secret: str) -> None:
    client = server.s3(Key(access_key, secret or " ", ""))
    with refused("InvalidAccessKeyId", 403):
        client.list_buckets()
    client.close()


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a comparison that always says yes, every forgery is let in: there is no other."""
    from gateway.auth import chunked, form, sigv2
    from gateway.auth.credentials import verify_secret

    monkeypatch.setattr(hmac, "compare_digest", lambda first, second: True)
    chunked.Chain(chunked.Seed(b"k", b"t", b"s", b"0")).check_chunk(b"0" * 64, b"forged")
    presigned = sigv2.Presigned("A", 1, b"forged")
    assert sigv2.check(presigned, "secret", [b"text"]) is None
    assert verify_secret("forged", b"0" * 32)
    assert form.sign  # form signatures are compared by the verifier: tests/auth/test_form.py


def test_an_unknown_key_is_told_as_a_wrong_secret_is(server: Server) -> None:
    """Of bearer keys nothing can be enumerated."""
    right = server.admin.api_key
    answers = set()
    for key in ("nxk_nobody_secret", right[:-4] + "0000", right.rsplit("_", 1)[0] + "_", "x", "-"):
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.post(f"{server.url}/api/nfs/list", headers=headers, json={"params": {}}, trust_env=False)
        answers.add((answer.status_code, json.dumps(answer.json()["error"])))
    assert len(answers) == 1


# -- paths


def test_dots_in_a_path_lead_into_no_other_bucket(
    raw: Raw, s3: BaseClient, strangers: BaseClient, stranger: Key, server: Server, bucket: str
) -> None:
    own = unique("own")
    strangers.create_bucket(Bucket=own)
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    theirs = _TheirRaw(server, stranger)
    for between in ("../", "%2e%2e/", "..%2f", "%2e%2e%2f", "x/../../", "..%5c", "%252e%252e%252f", "./../"):
        path = f"/{own}/{between}{bucket}/secret"
        status, _, body = theirs.send("GET", path)
        assert (status, code(body)) == (404, "NoSuchKey"), path
        assert theirs.send("PUT", path, body=b"theirs")[0] == 200
        assert theirs.send("DELETE", path)[0] == 204
    for path in (f"/{own}/../{bucket}", f"//{bucket}/secret", f"/./{bucket}/secret", f"/%2e/{bucket}/secret"):
        assert theirs.send("GET", path)[0] in (400, 403, 404), path
    assert s3.get_object(Bucket=bucket, Key="secret")["Body"].read() == b"secret"
    assert keys_of(s3, bucket) == ["secret"]


class _TheirRaw(Raw):
    """Requests of somebody who is no admin, for paths as they stand."""

    def __init__(self, server: Server, key: Key) -> None:
        super().__init__(Server(server.folder, port=server.port, admin=key))

    def sign(self, method: str, path: str, *more: Any, **options: Any) -> Signed:
        return super().sign(method, quote(unquote_to_bytes(path), safe="/-_.~"), *more, **options)


@pytest.mark.parametrize("with_part", [False, True], ids=["copy", "part"])
def test_what_may_not_be_read_may_not_be_copied(
    raw: Raw, s3: BaseClient, strangers: BaseClient, stranger: Key, server: Server, bucket: str, with_part: bool
) -> None:
    own = unique("own")
    strangers.create_bucket(Bucket=own)
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    theirs, query = _TheirRaw(server, stranger), {}
    if with_part:
        upload = strangers.create_multipart_upload(Bucket=own, Key="copy")["UploadId"]
        query = {"partNumber": "1", "uploadId": upload}
    sources = [f"/{bucket}/secret", f"{bucket}/secret", f"%2F{bucket}%2Fsecret", f"/{own}/../{bucket}/secret"]
    sources += [f"{own}/%2e%2e/{bucket}/secret", f"/{bucket}/secret?versionId=null", f"//{bucket}/secret"]
    for source in sources:
        status, _, body = theirs.send("PUT", f"/{own}/copy", query, {"x-amz-copy-source": source})
        assert status in (400, 403, 404) and b"<ETag>" not in body, (source, body)
    assert keys_of(strangers, own) == []


def test_a_policy_may_say_from_where_parts_are_copied(
    s3: BaseClient, strangers: BaseClient, stranger: Key, server: Server
) -> None:
    own, other = unique("own"), unique("other")
    for name in (own, other):
        strangers.create_bucket(Bucket=name)
    strangers.put_object(Bucket=other, Key="k", Body=b"x")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{own}/*",
        "Condition": {"StringLike": {"s3:x-amz-copy-source": f"{other}/*"}},
    }
    strangers.put_bucket_policy(Bucket=own, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    upload = strangers.create_multipart_upload(Bucket=own, Key="k")["UploadId"]
    with refused("AccessDenied", 403):
        strangers.copy_object(Bucket=own, Key="k", CopySource=f"/{other}/k")
    with refused("AccessDenied", 403):
        strangers.upload_part_copy(Bucket=own, Key="k", UploadId=upload, PartNumber=1, CopySource=f"/{other}/k")


def test_an_archive_is_stored_as_it_is(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """There is no unpacking, so no name in an archive leads anywhere."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(f"../{unique('other')}/key")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    headers = {"x-amz-meta-snowball-auto-extract": "true", "x-amz-meta-minio-snowball-prefix": "../x"}
    assert raw.send("PUT", f"/{bucket}/a.tar", headers=headers, body=packed.getvalue())[0] == 200
    assert keys_of(s3, bucket) == ["a.tar"]
    assert s3.get_object(Bucket=bucket, Key="a.tar")["Body"].read() == packed.getvalue()


# -- whom to believe


def test_an_address_that_a_client_tells_is_not_its_address(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3.delete_public_access_block(Bucket=bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.7"}},
    }
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    told = "203.0.113.7"
    for name in ("X_Forwarded_For", "X_Real_IP", "Forwarded", "True_Client_IP", "CF_Connecting_IP", "Client_IP"):
        value = f"for={told}" if name == "Forwarded" else told
        assert nobody(server, "GET", f"/{bucket}/k", **{name: value})[0] == 403, name


def test_no_header_becomes_what_the_gateway_keeps_to_itself(raw: Raw, s3: BaseClient, bucket: str) -> None:
    headers = {
        "X-Minio-Replication-Server-Side-Encryption-Sealed-Key": "x",
        "X-Minio-Internal-Server-Side-Encryption-Iv": "x",
        "X-Minio-Source-Replication-Request": "true",
        "X-Object-Sysmeta-Crypto-Body-Meta": "x",
        "X-Timestamp": "0000000001.00000",
        "X-Seaweedfs-Is-Directory-Key": "true",
    }
    for key in ("first", "second"):
        assert raw.send("PUT", f"/{bucket}/{key}", headers=headers, body=b"hello")[0] == 200
    got = s3.get_object(Bucket=bucket, Key="first")
    assert (got["Body"].read(), got["Metadata"]) == (b"hello", {})
    assert datetime.now(UTC) - got["LastModified"] < timedelta(minutes=5)
    assert raw.send("DELETE", f"/{bucket}/first", headers={"X-Timestamp": "0000000001.00000"})[0] == 204
    assert keys_of(s3, bucket) == ["second"]


def test_nobody_learns_by_conditions_what_is_there(server: Server, s3: BaseClient, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="there", Body=b"x")["ETag"]
    past, future = "Thu, 01 Jan 2015 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT"
    conditions: list[dict[str, str]] = [
        *({"If_Modified_Since": past}, {"If_Modified_Since": future}, {"If_Unmodified_Since": past}),
        *({"If_Match": etag}, {"If_None_Match": etag}, {"If_None_Match": "*"}, {"Range": "bytes=0-0"}),
    ]
    for told in conditions:
        answers = {nobody(server, method, f"/{bucket}/{key}", **told)[0] for method in ("GET", "HEAD") for key in "ab"}
        answers |= {nobody(server, method, f"/{bucket}/there", **told)[0] for method in ("GET", "HEAD")}
        assert answers == {403}, told


# -- administering


PROC = Path("/proc")
PATHS = (
    *("/minio/bootstrap/v1/verify", "/minio/health/cluster", "/minio/v2/metrics/cluster", "/minio/admin/v3/info"),
    *("/debug/pprof/heap", "/profile/cpu", "/profile/memory", "/rustfs/admin/v3/metrics", "/metrics", "/docs"),
    *("/openapi.json", "/_localstack/health", "/.env", "/server-status", "/api/nfs/list", "/api/admin", "/_/secrets"),
)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_of_the_inside_is_shown_to_nobody(server: Server, path: str) -> None:
    for method in ("GET", "POST"):
        status, body = nobody(server, method, path)
        assert status in (400, 401, 403, 404, 405, 412) or b'"error"' in body, (method, path, status)
        assert server.admin.secret_key.encode() not in body and b"NEXUS_" not in body


@pytest.mark.parametrize(
    "authorization", [None, "Bearer ACCESS", "Bearer nxk_ACCESS", "Bearer nxk_ACCESS_", "Basic eDp5"]
)
def test_no_call_is_answered_without_a_secret(server: Server, authorization: str | None) -> None:
    told = (authorization or "").replace("ACCESS", server.admin.access_key)
    with httpx.Client(headers={"Authorization": told} if told else {}, trust_env=False) as http:
        for name in METHODS:
            answer = http.post(f"{server.url}/api/nfs/{name}", json={"params": {}})
            # Whatever is no bearer key is a request of S3, which refuses it, too.
            refusal = answer.status_code in (400, 403, 404, 405) or answer.json().get("error", {}).get("code") == -32003
            assert refusal, (name, answer.text)


def test_what_administers_is_for_admins_alone(
    server: Server, stranger: Key, rpc: Rpc, rpc_as: Callable[..., Rpc]
) -> None:
    """A user, and keys of an admin that were narrowed: none makes a key, a user, a mount, or more of itself."""
    narrowed = [
        Key.of(rpc("admin_create_key", user_id="admin", **limits)["api_key"])
        for limits in ({"readonly": True}, {"prefixes": ["/workspace"]})
    ]
    users = len(rpc("admin_list_keys")["keys"])
    for key in (stranger, *narrowed):
        caller = rpc_as(key)
        for name, method in METHODS.items():
            if method.for_admins:
                error = caller.answer(name)["error"]
                assert error["code"] in (-32003, -32004), (name, error)
        for params in ({"user_id": "admin"}, {"user_id": "admin", "name": "x", "prefixes": None}):
            assert caller.answer("admin_create_key", **params)["error"]["code"] in (-32003, -32004)
    assert len(rpc("admin_list_keys")["keys"]) == users


def test_a_key_that_only_reads_signs_no_form_that_writes(server: Server, rpc: Rpc, s3: BaseClient, bucket: str) -> None:
    key = Key.of(rpc("admin_create_key", user_id="admin", readonly=True)["api_key"])
    reader = server.s3(key)
    form = reader.generate_presigned_post(bucket, "key")
    answer = httpx.post(form["url"], data=form["fields"], files={"file": b"x"}, trust_env=False)
    assert (answer.status_code, code(answer.content)) == (403, "AccessDenied")
    url = reader.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "key"})
    assert httpx.put(url, content=b"x", trust_env=False).status_code == 403
    assert keys_of(s3, bucket) == []
    reader.close()


def test_one_port_is_all_that_listens(server: Server) -> None:
    """There is no inside of the gateway that speaks over the network."""
    assert server.process is not None
    inodes = set()
    for entry in _processes(server.process.pid):
        for link in entry.glob("fd/*"):
            try:
                target = link.readlink().name
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    listening = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        rows = (PROC / "net" / table).read_text().splitlines()[1:]
        for fields in map(str.split, rows):
            if fields[9] in inodes and fields[3] in ("0A", "07"):
                listening.add(int(fields[1].rpartition(":")[2], 16))
    assert listening == {server.port}


def _processes(root: int) -> list[Path]:
    """A process and those below it."""
    parents = {}
    for entry in PROC.glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return [PROC / str(pid) for pid in found]


def test_no_secret_is_in_the_log(new_server: Callable[..., Server]) -> None:
    """Whatever the level: neither secrets, nor signatures, nor the keys of customers."""
    server = new_server(NEXUS_LOG_LEVEL="debug")
    client = server.s3()
    client.create_bucket(Bucket="logs-test")
    client.put_object(Bucket="logs-test", Key="k", Body=b"x")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "logs-test", "Key": "k"})
    assert httpx.get(url, trust_env=False).status_code == 200
    raw = Raw(server)
    forged = raw.sign("GET", "/logs-test/k").headers
    forged["authorization"] = forged["authorization"][:-64] + "f" * 64
    assert raw.exchange("GET", "/logs-test/k", None, forged, b"")[0] == 403
    customers = base64.b64encode(b"c" * 32).decode()
    headers = {
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
        "x-amz-server-side-encryption-customer-key": customers,
        "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(hashlib.md5(b"c" * 32).digest()).decode(),
    }
    raw.send("PUT", "/logs-test/secret", headers=headers, body=b"x")
    made = server.user("bob")
    client.close()
    server.stop()
    log = server.log.read_text()
    signature = (
        url.partition("X-Amz-Signature=")[2].partition("&")[0] or url.partition("Signature=")[2].partition("&")[0]
    )
    for secret in (server.admin.secret_key, server.admin.api_key, made.secret_key, customers, signature, "f" * 64):
        assert secret not in log
