"""What made other S3 servers fall over, or say more than they should: docs/security.md says where."""

from __future__ import annotations

import ast
import base64
import hashlib
import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.e2e.harness import Server, keys_of, refused
from tests.e2e.signing import SIGNED, UNSIGNED_TRAILER, Raw, Socket

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def raw(server: Server) -> Raw:
    return Raw(server)


@pytest.fixture(autouse=True)
def without_a_fault(server: Server) -> Iterator[None]:
    """Nothing here may be a fault of ours, whatever is answered."""
    logged = server.log.stat().st_size
    yield
    assert b"Traceback" not in server.log.read_bytes()[logged:]


def code(body: bytes) -> str:
    return body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


@pytest.mark.parametrize(
    "source",
    ["", "/", "//", "?versionId=", "?", "/?versionId=x", "%00", "%", "%ff", "a", "/b/", "x" * 5000, "arn:aws:s3:::"],
)
def test_a_copy_source_that_is_none(raw: Raw, s3: BaseClient, bucket: str, source: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for query in ({}, {"partNumber": "1", "uploadId": upload}):
        status, _, body = raw.send("PUT", f"/{bucket}/k", query, {"x-amz-copy-source": source})
        assert status in (400, 403, 404), body
    assert keys_of(s3, bucket) == []


@pytest.mark.parametrize(
    "target",
    [
        *(
            b"//",
            b"///",
            b"/%00",
            b"/%00/%00",
            b"/bucket//",
            b"/?",
            b"/??",
            b"/?&",
            b"/?=",
            b"/?%00",
            b"/%",
            b"/%ff%fe",
        ),
        *(
            b"*",
            b"http://x/",
            b"http://x",
            b"x",
            b"/?" + b"a&" * 5000,
            b"/" + b"a" * 9000,
            b"/" + b"%41" * 9000,
            b"/?acl&" * 9,
        ),
        *(
            b"/a?uploadId",
            b"/a/b?partNumber=-1&uploadId=",
            b"/a?max-keys=99999999999999999999999",
            b"/a?list-type=2&x=%",
        ),
    ],
)
def test_odd_urls(server: Server, target: bytes) -> None:
    for method in (b"GET", b"PUT", b"DELETE", b"HEAD", b"POST"):
        with Socket(server) as client:
            client.send(method + b" " + target + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            status = client.head()[9:12]
            assert status in (b"400", b"403", b"404", b"405", b"412", b"431", b"501"), (method, target[:40], status)


@pytest.mark.parametrize(
    "tagging",
    ["", "<", "<Tagging/>", "<Tagging><TagSet/></Tagging>", "<a/>", "<Tagging><TagSet><Tag/></TagSet></Tagging>", "&"],
)
def test_forms_whose_tags_are_no_document(s3: BaseClient, bucket: str, tagging: str) -> None:
    form = s3.generate_presigned_post(bucket, "k", {"tagging": tagging}, [["starts-with", "$tagging", ""]])
    answer = httpx.post(form["url"], data=form["fields"], files={"file": b"x"}, trust_env=False)
    assert answer.status_code in (204, 400), answer.text
    assert keys_of(s3, bucket) == ["k"] * (answer.status_code == 204)


@pytest.mark.parametrize("exposed", ["x\r\ny: z", "x\ny", "x y", "x\u0000", "x,y\r\n\r\n<html>"])
def test_no_rule_for_browsers_splits_an_answer(raw: Raw, s3: BaseClient, bucket: str, exposed: str) -> None:
    text = exposed.replace("\r", "&#13;").replace("\n", "&#10;").replace("<", "&lt;")
    document = (
        "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
        f"<ExposeHeader>{text}</ExposeHeader></CORSRule></CORSConfiguration>"
    ).encode()
    md5 = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
    status, _, body = raw.send("PUT", f"/{bucket}", {"cors": ""}, {"content-md5": md5}, document)
    assert status in (200, 400), body
    status, headers, body = raw.send("GET", f"/{bucket}", headers={"origin": "http://a"})
    assert status == 200 and "y" not in headers and b"<html>" not in body


def test_no_credentials_go_to_pages_that_no_rule_names(raw: Raw, s3: BaseClient, bucket: str) -> None:
    names = ("access-control-allow-origin", "access-control-allow-credentials")
    headers = raw.send("GET", f"/{bucket}", headers={"origin": "http://evil"})[1]
    assert not any(name in headers for name in names)
    s3.put_bucket_cors(
        Bucket=bucket, CORSConfiguration={"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]}
    )
    headers = raw.send("GET", f"/{bucket}", headers={"origin": "http://evil"})[1]
    assert [headers.get(name) for name in names] == ["*", None]


def test_what_an_answer_shall_say_is_signed_and_one_line(server: Server, s3: BaseClient, bucket: str) -> None:
    """Else a link to a public object is a page of the attacker's on the server's name."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"<script>", ContentType="text/plain")
    s3.delete_public_access_block(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    plain = httpx.get(f"{server.url}/{bucket}/k", trust_env=False)
    assert (plain.status_code, plain.headers["content-type"]) == (200, "text/plain")
    told = httpx.get(f"{server.url}/{bucket}/k?response-content-type=text/html", trust_env=False)
    assert told.status_code == 400 and told.headers["content-type"] == "application/xml"
    for value in ("a\r\nx-evil: 1", "a\nx-evil: 1", "a\r\n\r\n<script>"):
        url = s3.generate_presigned_url(
            "get_object", Params={"Bucket": bucket, "Key": "k", "ResponseContentDisposition": value}
        )
        answer = httpx.get(url, trust_env=False)
        assert answer.status_code == 400 and "x-evil" not in answer.headers


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a&b<c>", "'\"<x y='z'>", "]]>", "<!--"])
def test_names_in_answers_are_no_markup(raw: Raw, s3: BaseClient, bucket: str, name: str) -> None:
    s3.put_object(Bucket=bucket, Key=name, Body=b"x")
    listing = raw.send("GET", f"/{bucket}", {"prefix": name})
    missing = raw.send("GET", f"/{bucket}/" + "".join(f"%{byte:02X}" for byte in f"no {name}".encode()))
    for _, headers, body in (listing, missing):
        assert headers["content-type"] == "application/xml"
        assert b"<script" not in body and b"<x " not in body and b"<c>" not in body and b"<!--" not in body
    assert keys_of(s3, bucket) == [name]


@pytest.mark.parametrize(
    ("query", "root"),
    [
        *(("delete", "Delete"), ("tagging", "Tagging"), ("acl", "AccessControlPolicy"), ("cors", "CORSConfiguration")),
        *(
            ("lifecycle", "LifecycleConfiguration"),
            ("website", "WebsiteConfiguration"),
            ("versioning", "VersioningConfiguration"),
        ),
        *(
            ("logging", "BucketLoggingStatus"),
            ("encryption", "ServerSideEncryptionConfiguration"),
            ("", "CreateBucketConfiguration"),
        ),
    ],
)
def test_no_document_has_entities(raw: Raw, bucket: str, query: str, root: str) -> None:
    secret = raw.server.data_dir / "master.key"
    for entity in (f'SYSTEM "file://{secret}"', 'SYSTEM "http://127.0.0.1:1/"', '"x"', '"&f;" > <!ENTITY f "&e;"'):
        document = f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY e {entity}>]><{root}><A>&e;</A></{root}>".encode()
        md5 = base64.b64encode(hashlib.md5(document, usedforsecurity=False).digest()).decode()
        method = "POST" if query == "delete" else "PUT"
        path = f"/{bucket}" if query else f"/{bucket}-new"
        status, _, body = raw.send(method, path, {query: ""} if query else {}, {"content-md5": md5}, document)
        assert (status, code(body)) == (400, "MalformedXML"), body


def test_chunks_without_a_content_length(raw: Raw, s3: BaseClient, bucket: str) -> None:
    """As a proxy in front forwards them."""
    for payload in (UNSIGNED_TRAILER, SIGNED):
        headers = {"x-amz-decoded-content-length": "5", "content-encoding": "aws-chunked"}
        signed = raw.sign("PUT", f"/{bucket}/k", headers=headers, payload=payload)
        chain = [f";chunk-signature={signed.chunk(piece)}" if payload == SIGNED else "" for piece in (b"hello", b"")]
        body = f"5{chain[0]}\r\nhello\r\n0{chain[1]}\r\n\r\n".encode()
        with closing(http.client.HTTPConnection("127.0.0.1", raw.server.port, timeout=10)) as connection:
            connection.request("PUT", f"/{bucket}/k", iter([body]), signed.headers, encode_chunked=True)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
        signed = raw.sign("PUT", f"/{bucket}/none", headers=headers, payload=payload)
        with Socket(raw.server) as client:
            lines = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
            client.send(f"PUT /{bucket}/none HTTP/1.1\r\n{lines}\r\n".encode())
            assert client.head()[9:12] in (b"400", b"411")
    assert keys_of(s3, bucket) == ["k"]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Abc: \rxTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nAXX0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n Content-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n",
    ],
)
def test_a_second_request_is_not_hidden_in_a_first(server: Server, sent: bytes) -> None:
    hidden = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with closing(socket.create_connection(("127.0.0.1", server.port), 10)) as client:
        client.sendall(sent + hidden)
        received = b""
        while piece := client.recv(65536):
            received += piece
    assert received[9:12] in (b"400", b"403", b"501") and b"healthy" not in received


def test_requests_that_break_off_cost_nothing(server: Server, s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 8_000_000)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    target = url.removeprefix(server.url).encode()
    assert server.process is not None
    descriptors = Path(f"/proc/{server.process.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(60):
        with Socket(server) as client:
            client.send(b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port)
            client.head()
        with Socket(server) as client:
            client.send(b"PUT /x/y HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 8_000_000
    assert len(list(descriptors.iterdir())) < before + 30


@pytest.mark.parametrize(
    "key", ["'; DROP TABLE objects; --", "' OR '1'='1", '"; SELECT 1', "%' ESCAPE '", "\\", "a\\..\\b"]
)
def test_names_are_no_language(s3: BaseClient, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key="other", Body=b"other")
    s3.put_object(Bucket=bucket, Key=key, Body=b"x", Tagging="a=b", Metadata={"m": key.replace("%", "")})
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]] == [key]
    assert s3.list_objects_v2(Bucket=bucket, StartAfter=key)["KeyCount"] in (0, 1)
    s3.delete_object(Bucket=bucket, Key=key)
    assert keys_of(s3, bucket) == ["other"]
    with refused("NoSuchUpload"):
        s3.list_parts(Bucket=bucket, Key=key, UploadId=key)
    with pytest.raises(ClientError):
        s3.get_object(Bucket=bucket, Key="other", VersionId=key)


def test_nothing_that_is_read_is_run() -> None:
    """Neither are objects of Python made of what somebody stored, nor is anything given to a shell."""
    forbidden = {"pickle", "marshal", "shelve", "yaml", "dill", "jsonpickle"}
    called = {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput"}
    ours = {ROOT / "gateway/s3/xml_writer.py"}  # which makes a function of the model, and of nothing that is read
    for source in (*ROOT.glob("gateway/**/*.py"), *ROOT.glob("backends/**/*.py"), *ROOT.glob("nexus/**/*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not forbidden & {name.partition(".")[0] for name in names}, source
            if isinstance(node, ast.Call):
                assert source in ours or ast.unparse(node.func) not in called, source
                assert not any(word.arg == "shell" for word in node.keywords), source


@pytest.mark.parametrize(
    "body", [b"\xff", b"[" * 5000, b'{"params":' * 900, b"null", b"[]", b'{"params":[]}', b'{"id":{}}', b"1"]
)
def test_calls_that_are_none(server: Server, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {server.admin.api_key}"}
    for method in ("read", "write", "gc", "add_mount", "nothing"):
        answer: Any = httpx.post(f"{server.url}/api/nfs/{method}", headers=headers, content=body, trust_env=False)
        assert answer.status_code == 200 and answer.json()["error"]["code"] != -32603, answer.text
