"""What clients of the soak read, each answer compared with what they wrote."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from urllib.parse import quote

from reliability.soak.client import PLAIN, VERSIONED, Client, Place, demand

XMLNS = "{http://s3.amazonaws.com/doc/2006-03-01/}"


async def get(client: Client, place: Place) -> None:
    await client.verify(place)


async def get_present(client: Client, place: Place) -> None:
    await client.verify(client.present() or place)


async def get_version(client: Client, place: Place) -> None:
    """A former version, or a delete marker, which cannot be read."""
    kept = [(each, version) for each, held in client.held.items() if each.bucket == VERSIONED for version in held]
    if not kept:
        return
    found, version = client.dice.choice(kept)
    if version.content is None:
        await client.call("GET", found.path, {"versionId": version.id}, expect=405)
    else:
        answer = await client.call("GET", found.path, {"versionId": version.id})
        await client.verify_version(found, version, answer)


async def get_range(client: Client, place: Place) -> None:
    found = client.present()
    version = client.current(found) if found else None
    if found is None or version is None or version.content is None or not version.content.size:
        return
    size = version.content.size
    first = client.dice.randrange(size)
    last = client.dice.choice((first, min(size - 1, first + 5000), size - 1, size + 10))
    answer = await client.call("GET", found.path, headers={"range": f"bytes={first}-{last}"}, expect=206)
    end = min(last, size - 1)
    demand(answer.headers["content-range"] == f"bytes {first}-{end}/{size}", answer.headers["content-range"])
    await client.verify_version(found, version, answer, version.content.read()[first : end + 1])


async def head(client: Client, place: Place) -> None:
    version = client.current(place)
    answer = await client.call("HEAD", place.path, expect=404 if version is None else 200)
    if version is not None and version.content is not None:
        told = (int(answer.headers["content-length"]), answer.headers["etag"])
        demand(told == (version.content.size, version.etag), f"HEAD of {place}: {told}, not {version}")


async def not_modified(client: Client, place: Place) -> None:
    found = client.present()
    version = client.current(found) if found else None
    if found and version:
        await client.call("GET", found.path, headers={"if-none-match": version.etag}, expect=304)
        await client.call("GET", found.path, headers={"if-match": '"0"'}, expect=412)


async def list_keys(client: Client, place: Place) -> None:
    """Page by page: every key of the client, and no other."""
    query = {"list-type": "2", "prefix": f"{client.name}/", "max-keys": str(client.dice.choice((7, 50, 1000)))}
    listed = []
    while True:
        root = ElementTree.fromstring((await client.call("GET", f"/{place.bucket}", query)).body)
        for entry in root.iter(f"{XMLNS}Contents"):
            listed.append(tuple(entry.findtext(XMLNS + name, "") for name in ("Key", "Size", "ETag")))
        token = root.findtext(f"{XMLNS}NextContinuationToken")
        if token is None:
            break
        query["continuation-token"] = token
    expected = [
        (each.key, str(version.content.size), version.etag)
        for each in _sorted(client, place.bucket)
        if (version := client.current(each)) is not None and version.content is not None
    ]
    lost = {each.key for each in client.lost}
    found = [entry for entry in listed if entry[0] not in lost]
    demand(found == expected, f"list of {place.bucket}/{client.name}/: {_differ(found, expected)}")


async def list_versions(client: Client, place: Place) -> None:
    """Versions and delete markers, each kind in its order."""
    query = {"versions": "", "prefix": f"{client.name}/"}
    root = ElementTree.fromstring((await client.call("GET", f"/{VERSIONED}", query)).body)
    listed = [
        (each.findtext(f"{XMLNS}Key"), each.findtext(f"{XMLNS}VersionId"), is_marker)
        for is_marker, tag in enumerate((f"{XMLNS}Version", f"{XMLNS}DeleteMarker"))
        for each in root.iterfind(tag)
    ]
    expected = [
        (each.key, version.id, is_marker)
        for is_marker in (0, 1)
        for each in _sorted(client, VERSIONED)
        for version in client.held[each]
        if is_marker == (version.content is None)
    ]
    lost = {each.key for each in client.lost}
    found = [entry for entry in listed if entry[0] not in lost]
    demand(found == expected, f"versions of {client.name}/: {_differ(found, expected)}")


async def list_parts(client: Client, place: Place) -> None:
    if not client.uploads:
        return
    upload = client.dice.choice(client.uploads)
    root = ElementTree.fromstring((await client.call("GET", upload.place.path, {"uploadId": upload.id})).body)
    listed = {int(each.findtext(f"{XMLNS}PartNumber", "")): each for each in root.iter(f"{XMLNS}Part")}
    told = {number: each.findtext(f"{XMLNS}ETag") for number, each in listed.items()}
    demand(told == {number: etag for number, (_, etag) in upload.parts.items()}, f"parts of {upload}: {told}")


async def presigned_get(client: Client, place: Place) -> None:
    found = client.present()
    version = client.current(found) if found else None
    if found and version:
        parameters = {"Bucket": found.bucket, "Key": found.key}
        url = client.site.boto.generate_presigned_url("get_object", parameters)
        target = url.partition(client.signer.host)[2]
        await client.verify_version(found, version, await client.send("GET", target, {"host": client.signer.host}))


async def rpc_read(client: Client, place: Place) -> None:
    """Over the Nexus door, as a stream of bytes, and whether it is there."""
    if place.bucket != PLAIN or not place.has_path:
        return
    version = client.current(place)
    call = json.dumps({"params": {"path": place.path}}).encode()
    answer = await client.send("POST", "/api/nfs/exists", client.bearer(), call)
    demand(json.loads(answer.body)["result"]["exists"] == (version is not None), f"{place}: exists {answer.body!r}")
    if version is not None and version.content is not None:
        answer = await client.send("GET", "/api/nfs/stream" + quote(place.path), client.bearer())
        demand(answer.body == version.content.read(), f"{place}: other bytes over the Nexus door")


def _sorted(client: Client, bucket: str) -> list[Place]:
    return sorted((each for each in client.held if each.bucket == bucket), key=lambda each: each.key.encode())


def _differ(found: Sequence[object], expected: Sequence[object]) -> str:
    more = [each for each in found if each not in expected]
    less = [each for each in expected if each not in found]
    if more or less:
        return f"too much {more[:3]}, missing {less[:3]}"
    at = next((at for at, (one, other) in enumerate(zip(found, expected, strict=False)) if one != other), 0)
    return f"from {at} on {found[at : at + 3]}, not {expected[at : at + 3]}"
