"""Two uses that compare-and-swap is there for: a counter that loses nothing, and one winner of many."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ElementTree

from reliability.linear.world import PLAIN, VERSIONED, Actor, Refused


async def counter(actors: list[Actor], increments: int) -> str:
    """All add one to the number in an object, each so often, by GET and PUT If-Match."""
    world, path = actors[0].world, f"/{PLAIN}/counter"
    await actors[0].ask("PUT", path, body=b"0")
    each = max(1, increments // len(actors))
    tries = await asyncio.gather(*(_add(actor, path, each) for actor in actors))
    total = int((await actors[0].ask("GET", path)).body)
    if total != each * len(actors):
        world.problems.append(f"the counter is at {total} after {each * len(actors)} increments")
    return f"counter: {total} of {each * len(actors)} increments by {len(actors)} clients, in {sum(tries)} tries"


async def _add(actor: Actor, path: str, times: int) -> int:
    tries = 0
    while times:
        tries += 1
        try:
            now = await actor.ask("GET", path)
            body = str(int(now.body) + 1).encode()
            answer = await actor.ask("PUT", path, headers={"if-match": now.headers["etag"]}, body=body)
        except Refused:
            continue
        if answer.status == 200:
            times -= 1
        elif answer.status not in (409, 412):
            actor.unexpected("an increment", answer)
            break
    return tries


async def winners(actors: list[Actor], rounds: int) -> str:
    """All create the same key at once, by PUT or by completing an upload, on the condition that it is not there."""
    world, wrong = actors[0].world, 0
    for number in range(rounds):
        path = f"/{(PLAIN, VERSIONED)[number % 2]}/race/{number}"
        uploads = [await _upload(actor, path) if number % 4 >= 2 else ("", b"") for actor in actors]
        racing = (_create(actor, path, *upload) for actor, upload in zip(actors, uploads, strict=True))
        statuses = await asyncio.gather(*racing)
        if statuses.count(200) != 1 or set(statuses) - {200, 409, 412}:
            wrong += 1
            world.problems.append(f"{path} was created with {statuses}")
    return f"conditional creates: one winner of {len(actors)} in {rounds - wrong} of {rounds} rounds"


async def _upload(actor: Actor, path: str) -> tuple[str, bytes]:
    """An upload that is ready, and the body that completes it."""
    created = ElementTree.fromstring((await actor.ask("POST", path, {"uploads": ""})).body)
    upload = created.findtext("{*}UploadId") or ""
    part = await actor.ask("PUT", path, {"partNumber": "1", "uploadId": upload}, body=upload.encode())
    named = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    return upload, f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()


async def _create(actor: Actor, path: str, upload: str, completing: bytes) -> int:
    headers = {"if-none-match": "*"}
    if upload:
        answer = await actor.ask("POST", path, {"uploadId": upload}, headers, completing)
        return 500 if answer.code and answer.status == 200 else answer.status
    return (await actor.ask("PUT", path, headers=headers, body=str(id(actor)).encode())).status
