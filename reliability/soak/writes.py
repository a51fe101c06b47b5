"""What clients of the soak write and remove."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
import zlib
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import quote
from xml.sax.saxutils import escape

from reliability.soak.client import (
    AGED,
    PLAIN,
    VERSIONED,
    Client,
    Place,
    demand,
    etag_of,
    md5,
    quoted_md5,
)
from reliability.soak.contents import Content, single
from reliability.wire import Answer
from tests.e2e.signing import SIGNED, UNSIGNED_TRAILER

MAX_VERSIONS = 4
CHUNK = 64 * 1024


async def put(client: Client, place: Place) -> None:
    content = client.content()
    body = content.read()
    headers = client.dice.choice(({}, {}, {"content-md5": md5(body)}, {"x-amz-checksum-crc32": crc32(body)}))
    _took(client, place, content, await client.call("PUT", place.path, headers=headers, body=body), body)


async def put_chunked(client: Client, place: Place) -> None:
    """In aws-chunked framing: with chunks that are signed one by one, or with a checksum at the end."""
    content = client.content()
    body = content.read()
    chunks = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
    headers = {"x-amz-decoded-content-length": str(len(body)), "content-encoding": "aws-chunked"}
    target = quote(place.path, safe="/-_.~")
    if client.dice.random() < 0.5:
        signed = client.signer.sign("PUT", target, headers=headers, payload=SIGNED)
        framed = b"".join(
            b"%x;chunk-signature=%s\r\n%s\r\n" % (len(chunk), signed.chunk(chunk).encode(), chunk)
            for chunk in [*chunks, b""]
        )
    else:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
        signed = client.signer.sign("PUT", target, headers=headers, payload=UNSIGNED_TRAILER)
        framed = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        framed += b"0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % crc32(body).encode()
    _took(client, place, content, await client.send("PUT", target, signed.headers, framed), body)


async def put_if_absent(client: Client, place: Place) -> None:
    content = client.content()
    body, there = content.read(), client.current(place) is not None
    answer = await client.call(
        "PUT", place.path, headers={"if-none-match": "*"}, body=body, expect=412 if there else 200
    )
    if not there:
        _took(client, place, content, answer, body)


async def put_if_match(client: Client, place: Place) -> None:
    version = client.current(place)
    if version is None:
        await client.call("PUT", place.path, headers={"if-match": '"0"'}, body=b"x", expect=404)
        return
    content = client.content()
    body = content.read()
    await client.call("PUT", place.path, headers={"if-match": '"0"'}, body=b"x", expect=412)
    answer = await client.call("PUT", place.path, headers={"if-match": version.etag}, body=body)
    _took(client, place, content, answer, body)


async def put_presigned(client: Client, place: Place) -> None:
    content = client.content()
    body = content.read()
    url = client.site.boto.generate_presigned_url("put_object", {"Bucket": place.bucket, "Key": place.key})
    target = url.partition(client.signer.host)[2]
    _took(client, place, content, await client.send("PUT", target, {"host": client.signer.host}, body), body)


async def post_form(client: Client, place: Place) -> None:
    content = client.content()
    body = content.read()
    fields = client.site.boto.generate_presigned_post(place.bucket, place.key)["fields"]
    parts = [
        f'--xyz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    parts.append('--xyz\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n')
    headers = {"host": client.signer.host, "content-type": "multipart/form-data; boundary=xyz"}
    whole = "".join(parts).encode() + body + b"\r\n--xyz--\r\n"
    _took(client, place, content, await client.send("POST", f"/{place.bucket}", headers, whole, 204), body)


async def rpc_write(client: Client, place: Place) -> None:
    """Over the Nexus door; S3's ETag of it is what S3 tells."""
    if place.bucket != PLAIN or not place.has_path:
        return
    content = client.content()
    if content.size <= CHUNK:
        params = {"path": place.path, "content": {"__type__": "bytes", "data": b64encode(content.read()).decode()}}
        answer = await client.send("POST", "/api/nfs/write", client.bearer(), json.dumps({"params": params}).encode())
        demand("result" in json.loads(answer.body), f"write of {place}: {answer.body[:200]!r}")
    else:
        target = "/api/nfs/stream" + quote(place.path)
        answer = await client.connection.send("PUT", target, client.bearer(), content.read())
        demand(answer.status in (200, 201, 204), f"stream to {place}: {answer.status} {answer.body[:200]!r}")
    client.held.pop(place, None)
    seen = await client.call("HEAD", place.path)
    client.wrote(place, content, seen)


async def rpc_delete(client: Client, place: Place) -> None:
    if place.bucket != PLAIN or not place.has_path:
        return
    call = json.dumps({"params": {"path": place.path}}).encode()
    answer = json.loads((await client.send("POST", "/api/nfs/delete", client.bearer(), call)).body)
    demand(("result" in answer) == (client.current(place) is not None), f"delete of {place}: {answer}")
    client.held.pop(place, None)


async def copy(client: Client, place: Place) -> None:
    source = client.present()
    version = client.current(source) if source else None
    if source is None or version is None or version.content is None or source == place:
        return
    named = quote(source.path, safe="/-_.~")
    if source.bucket == VERSIONED and client.dice.random() < 0.5:
        named += f"?versionId={version.id}"
    answer = await client.call("PUT", place.path, headers={"x-amz-copy-source": named})
    client.wrote(place, version.content, answer, etag_of(answer))


async def tag(client: Client, place: Place) -> None:
    found = client.present()
    if found:
        value = str(next(client.site.numbers))
        body = f"<Tagging><TagSet><Tag><Key>n</Key><Value>{value}</Value></Tag></TagSet></Tagging>".encode()
        await client.call("PUT", found.path, {"tagging": ""}, {"content-md5": md5(body)}, body)
        answer = await client.call("GET", found.path, {"tagging": ""})
        demand(f"<Value>{value}</Value>".encode() in answer.body, f"tags of {found}: {answer.body!r}")


async def put_aged(client: Client, place: Place) -> None:
    """Encrypted, and removed by a lifecycle rule; with an upload that a rule aborts."""
    content = single(next(client.site.numbers), client.dice.randrange(300_000))
    path = f"/{AGED}/{client.name}/{content.pieces[0][0]}"
    await client.call("PUT", path, body=content.read())
    demand((await client.call("GET", path)).body == content.read(), f"{path}: other bytes than were written")
    if client.dice.random() < 0.3:
        created = ElementTree.fromstring((await client.call("POST", path, {"uploads": ""})).body)
        upload = created.findtext("{*}UploadId") or ""
        await client.call("PUT", path, {"partNumber": "1", "uploadId": upload}, body=content.read())


async def delete(client: Client, place: Place) -> None:
    answer = await client.call("DELETE", place.path, expect=204)
    client.deleted(place, answer.headers.get("x-amz-version-id", ""))


async def delete_version(client: Client, place: Place) -> None:
    kept = [(each, version) for each, held in client.held.items() if each.bucket == VERSIONED for version in held]
    if kept:
        found, version = client.dice.choice(kept)
        await client.call("DELETE", found.path, {"versionId": version.id}, expect=204)
        client.removed(found, version.id)


async def delete_several(client: Client, place: Place) -> None:
    """Keys that are there and keys that are not."""
    doomed = {client.place() for _ in range(client.dice.randrange(1, 8))}
    bucket = place.bucket
    await remove(client, bucket, [(each.key, "") for each in doomed if each.bucket == bucket])


async def remove(client: Client, bucket: str, doomed: Sequence[tuple[str, str]]) -> None:
    """Keys, or versions of them, by one DeleteObjects."""
    if not doomed:
        return
    named = "".join(
        f"<Object><Key>{escape(key)}</Key>{f'<VersionId>{version}</VersionId>' if version else ''}</Object>"
        for key, version in doomed
    )
    body = f"<Delete>{named}</Delete>".encode()
    answer = await client.call("POST", f"/{bucket}", {"delete": ""}, {"content-md5": md5(body)}, body)
    root = ElementTree.fromstring(answer.body)
    told = {
        each.findtext("{*}Key"): each.findtext("{*}DeleteMarkerVersionId", "") for each in root.iterfind("{*}Deleted")
    }
    demand(set(told) == {key for key, _ in doomed}, f"delete of {doomed}: {answer.body[:300]!r}")
    for key, version in doomed:
        if version:
            client.removed(Place(bucket, key), version)
        else:
            client.deleted(Place(bucket, key), told[key])


async def trim(client: Client) -> None:
    """Let what a client holds stay within its bounds."""
    doomed = [
        (place.key, version.id)
        for place, held in client.held.items()
        if place.bucket == VERSIONED
        for version in (held[MAX_VERSIONS:] if len(held) > 2 * MAX_VERSIONS else [])
    ]
    await remove(client, VERSIONED, doomed)
    while client.bytes_held() > client.site.client_bytes:
        largest = max(
            client.held, key=lambda place: sum(each.content.size for each in client.held[place] if each.content)
        )
        for version in list(client.held[largest]):
            query = {"versionId": version.id} if largest.bucket == VERSIONED else None
            await client.call("DELETE", largest.path, query, expect=204)
            client.removed(largest, version.id)


def crc32(body: bytes) -> str:
    return b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()


def _took(client: Client, place: Place, content: Content, answer: Answer, body: bytes) -> None:
    told = answer.headers.get("etag", "")
    client.wrote(place, content, answer)
    demand(told == quoted_md5(body), f"{place}: ETag {told} is not the MD5 of what was sent")
