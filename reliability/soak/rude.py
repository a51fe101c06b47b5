"""What clients do wrong: they go in the middle, sign badly, and send what they did not say. Nothing comes of it."""

from __future__ import annotations

from urllib.parse import quote

from reliability.soak.client import Client, Place, checked, demand, md5
from reliability.soak.contents import pick_size, single


async def cut_put(client: Client, place: Place) -> None:
    body = single(next(client.site.numbers), 1 + pick_size(client.dice)).read()
    target = quote(place.path, safe="/-_.~")
    signed = client.signer.sign("PUT", target)
    await client.connection.cut("PUT", target, signed.headers, body[: client.dice.randrange(len(body))], len(body))
    await client.verify(place)


async def cut_part(client: Client, place: Place) -> None:
    """A part of an upload that is open, whose part of that number stays what it was."""
    if client.uploads:
        upload = client.dice.choice(client.uploads)
        target = quote(upload.place.path, safe="/-_.~")
        query = {"partNumber": "1", "uploadId": upload.id}
        signed = client.signer.sign("PUT", target, query)
        target += f"?partNumber=1&uploadId={quote(upload.id, safe='-_.~')}"
        await client.connection.cut("PUT", target, signed.headers, b"x" * client.dice.randrange(100_000), 100_000)


async def leave_get(client: Client, place: Place) -> None:
    found = client.present()
    version = client.current(found) if found else None
    if found and version and version.content:
        target = quote(found.path, safe="/-_.~")
        signed = client.signer.sign("GET", target)
        await client.connection.leave(target, signed.headers, client.dice.randrange(version.content.size + 1))


async def bad_signature(client: Client, place: Place) -> None:
    method = client.dice.choice(("GET", "PUT", "DELETE"))
    target = quote(place.path, safe="/-_.~")
    signed = client.signer.sign(method, target)
    last = "0" if signed.signature[-1] != "0" else "1"
    headers = {**signed.headers, "authorization": signed.headers["authorization"][:-1] + last}
    body = b"x" * client.dice.randrange(50_000) if method == "PUT" else b""
    answer = await client.connection.send(method, target, headers, body)
    checked(answer, f"{method} {place} with a bad signature", 403)
    demand(answer.code == "SignatureDoesNotMatch", f"a bad signature: {answer}")
    await client.verify(place)


async def bad_body(client: Client, place: Place) -> None:
    """Another body than its digest tells."""
    body = single(next(client.site.numbers), pick_size(client.dice)).read()
    if client.dice.random() < 0.5:
        answer = await client.call("PUT", place.path, headers={"content-md5": md5(body + b"x")}, body=body, expect=400)
        demand(answer.code == "BadDigest", f"a wrong Content-MD5: {answer}")
    else:
        answer = await client.call("PUT", place.path, body=body, payload="0" * 64, expect=400)
        demand(answer.code == "XAmzContentSHA256Mismatch", f"a wrong SHA-256: {answer}")
    await client.verify(place)
