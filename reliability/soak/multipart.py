"""Uploads in parts: completed, aborted, left open, and refused."""

from __future__ import annotations

import hashlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from urllib.parse import quote

from reliability.soak.client import Client, Place, Upload, demand, etag_of
from reliability.soak.contents import Content, single

LEAST = 64 * 1024
"""The least size of a part, to which the server of a soak is set."""
MAX_OPEN = 3


async def complete(client: Client, place: Place) -> None:
    upload = await _begin(client, place)
    await _finish(client, upload, {})


async def complete_if_absent(client: Client, place: Place) -> None:
    upload = await _begin(client, place)
    await _finish(client, upload, {"if-none-match": "*"}, refused=client.current(place) is not None)


async def abort(client: Client, place: Place) -> None:
    upload = await _begin(client, place)
    await _abort(client, upload)
    await client.call("GET", place.path, {"uploadId": upload.id}, expect=404)


async def abandon(client: Client, place: Place) -> None:
    """Leave it; the oldest of several ends after all, one way or the other."""
    await _begin(client, place)
    if len(client.uploads) > MAX_OPEN:
        oldest = client.uploads[0]
        if oldest.place not in client.lost and client.dice.random() < 0.5:
            await _finish(client, oldest, {})
        else:
            await _abort(client, oldest)


async def _begin(client: Client, place: Place) -> Upload:
    created = ElementTree.fromstring((await client.call("POST", place.path, {"uploads": ""})).body)
    upload = Upload(place, created.findtext("{*}UploadId") or "")
    client.uploads.append(upload)
    for number in range(1, client.dice.randrange(2, 5)):
        await _part(client, upload, number)
    if client.dice.random() < 0.3:
        await _part(client, upload, 1)
    return upload


async def _part(client: Client, upload: Upload, number: int) -> None:
    """By a body, or by a range of an object."""
    query = {"partNumber": str(number), "uploadId": upload.id}
    source = client.present()
    version = client.current(source) if source else None
    if source and version and version.content and len(version.content.pieces) == 1 and version.content.size > LEAST:
        ((piece, size),) = version.content.pieces
        content = single(piece, client.dice.choice((size, client.dice.randrange(LEAST, size))))
        headers = {
            "x-amz-copy-source": quote(source.path, safe="/-_.~"),
            "x-amz-copy-source-range": f"bytes=0-{content.size - 1}",
        }
        upload.parts[number] = (content, etag_of(await client.call("PUT", upload.place.path, query, headers)))
        return
    content = single(next(client.site.numbers), client.dice.randrange(LEAST, 5 * LEAST))
    answer = await client.call("PUT", upload.place.path, query, body=content.read())
    upload.parts[number] = (content, answer.headers["etag"])


async def _finish(client: Client, upload: Upload, conditions: Mapping[str, str], refused: bool = False) -> None:
    named = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, (_, etag) in sorted(upload.parts.items())
    )
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    answer = await client.call(
        "POST", upload.place.path, {"uploadId": upload.id}, conditions, body, expect=412 if refused else 200
    )
    if refused:
        await _abort(client, upload)
        return
    client.uploads.remove(upload)
    parts = [part for _, part in sorted(upload.parts.items())]
    digests = b"".join(bytes.fromhex(etag.strip('"')) for _, etag in parts)
    expected = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
    content = Content(tuple(piece for each, _ in parts for piece in each.pieces))
    client.wrote(upload.place, content, answer, etag_of(answer))
    demand(etag_of(answer) == expected, f"{upload.place}: ETag {etag_of(answer)}, not {expected}")


async def _abort(client: Client, upload: Upload) -> None:
    await client.call("DELETE", upload.place.path, {"uploadId": upload.id}, expect=204)
    client.uploads.remove(upload)
