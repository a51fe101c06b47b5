"""What clients do, and what each answer says of the keys it is about."""

from __future__ import annotations

import base64
import hashlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reliability.linear.checker import ABSENT
from reliability.linear.world import PLAIN, VERSIONED, Actor, Unknown
from reliability.wire import Answer

Action = Callable[[Actor], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Condition:
    """Under which a write is done: on nothing, on no object, or on that value."""

    headers: dict[str, str]
    equal: int | None = None

    def note(self, actor: Actor, path: str, call: int, told: str, answer: Answer | None, sets: int) -> bool:
        """What the answer to a conditional write says of the key; whether it was done for sure."""
        told = f"{told} {self.headers or ''} -> {answer or 'unknown'}"
        if answer is None:
            actor.note(path, call, told, equal=self.equal, sets=(sets,), known=False)
        elif answer.status < 300 and not answer.code:
            actor.note(path, call, told, equal=self.equal, sets=(sets,))
            return True
        elif answer.status == 412 and self.equal is not None:
            # If-None-Match: * fails on what is there, If-Match on what is there and another.
            actor.note(path, call, told, unlike=(self.equal, ABSENT))
        elif answer.status == 404 and self.equal:
            actor.note(path, call, told, equal=ABSENT)
        elif answer.status != 409 or self.equal is None:
            actor.unexpected(told, answer)
        return False


ALWAYS, IF_ABSENT = Condition({}), Condition({"if-none-match": "*"}, ABSENT)


def condition(actor: Actor, path: str) -> Condition:
    seen = actor.world.seen.get(path)
    return actor.dice.choice((ALWAYS, IF_ABSENT, _if_match(*seen) if seen else IF_ABSENT))


def _if_match(etag: str, value: int) -> Condition:
    return Condition({"if-match": etag}, value)


# Reads


async def get(actor: Actor) -> None:
    path, call = actor.path(), actor.world.tick()
    answer = await actor.ask("GET", path)
    value, etag = ABSENT, answer.headers.get("etag", "")
    if answer.status == 200:
        value = actor.world.values.of_body(answer.body, etag)
        actor.learned(path, answer, value)
    elif answer.status != 404:
        actor.unexpected(f"GET {path}", answer)
        return
    actor.note(path, call, f"GET -> value {value}", equal=value)
    actor.saw(path, etag, value)


async def head(actor: Actor) -> None:
    path, call = actor.path(), actor.world.tick()
    answer = await actor.ask("HEAD", path)
    value, etag = ABSENT, answer.headers.get("etag", "")
    if answer.status == 200:
        value = actor.world.values.of_etag(etag, int(answer.headers["content-length"]))
        actor.learned(path, answer, value)
    actor.note(path, call, f"HEAD -> value {value}", equal=value)
    actor.saw(path, etag, value)


async def get_range(actor: Actor) -> None:
    """The last line alone, of an object whose size and ETag are told with it."""
    path, call = actor.path(), actor.world.tick()
    answer = await actor.ask("GET", path, headers={"range": "bytes=-16"})
    value = ABSENT
    if answer.status == 206:
        value = actor.world.values.of_line(answer.body)
        size = int(answer.headers["content-range"].rpartition("/")[2])
        if actor.world.values.of_etag(answer.headers["etag"], size) != value:
            actor.unexpected(f"the range of {path} is of value {value}, its ETag is not", answer)
    elif answer.status != 404:
        actor.unexpected(f"GET {path} of a range", answer)
        return
    actor.note(path, call, f"GET of a range -> value {value}", equal=value)


async def get_if_changed(actor: Actor) -> None:
    path = actor.path()
    seen = actor.world.seen.get(path)
    if seen is None:
        return await get(actor)
    etag, value = seen
    call = actor.world.tick()
    answer = await actor.ask("GET", path, headers={"if-none-match": etag})
    if answer.status == 304:
        actor.note(path, call, f"GET If-None-Match -> still value {value}", equal=value)
    elif answer.status == 200:
        found = actor.world.values.of_body(answer.body, answer.headers["etag"])
        actor.note(path, call, f"GET If-None-Match of {value} -> value {found}", equal=found, unlike=(value,))
    elif answer.status == 404:
        actor.note(path, call, "GET If-None-Match -> absent", equal=ABSENT)
    else:
        actor.unexpected(f"GET {path} If-None-Match", answer)


async def get_version(actor: Actor) -> None:
    """A version that somebody was told of is there, and what it was."""
    known = list(actor.world.versions)
    if not known:
        return await get(actor)
    path, version = actor.dice.choice(known)
    expected = actor.world.versions[path, version]
    answer = await actor.ask("GET", path, {"versionId": version})
    if answer.status != 200 or actor.world.values.of_body(answer.body, answer.headers["etag"]) != expected:
        actor.unexpected(f"GET of version {version} of {path}, value {expected}", answer)


async def stream_read(actor: Actor) -> None:
    path, call = actor.path(), actor.world.tick()
    answer = await actor.rpc("GET", path, {})
    if answer.status not in (200, 404):
        actor.unexpected(f"stream from {path}", answer)
        return
    value = actor.world.values.of_body(answer.body, None) if answer.status == 200 else ABSENT
    actor.note(path, call, f"stream -> value {value}", equal=value)


async def list_keys(actor: Actor) -> None:
    """A list is a read of every key at once, of those that it does not name, too."""
    bucket, call = actor.dice.choice((PLAIN, VERSIONED)), actor.world.tick()
    answer = await actor.ask("GET", f"/{bucket}", {"list-type": "2", "prefix": actor.world.prefix()})
    found = {path: (ABSENT, "") for path in actor.world.paths(bucket)}
    for entry in ElementTree.fromstring(answer.body).iterfind("{*}Contents"):
        etag = entry.findtext("{*}ETag", "")
        value = actor.world.values.of_etag(etag, int(entry.findtext("{*}Size", "")))
        found[f"/{bucket}/{entry.findtext('{*}Key')}"] = (value, etag)
    for path, (value, etag) in found.items():
        actor.note(path, call, f"list -> value {value}", equal=value)
        actor.saw(path, etag, value)


async def list_versions(actor: Actor) -> None:
    """Of each key exactly one entry is the latest, unless there is none."""
    call = actor.world.tick()
    answer = await actor.ask("GET", f"/{VERSIONED}", {"versions": "", "prefix": actor.world.prefix()})
    root = ElementTree.fromstring(answer.body)
    if root.findtext("{*}IsTruncated") != "false":
        return
    found: dict[str, list[int]] = {path: [] for path in actor.world.paths(VERSIONED)}
    listed = set()
    for entry in [*root.iterfind("{*}Version"), *root.iterfind("{*}DeleteMarker")]:
        path, value = f"/{VERSIONED}/{entry.findtext('{*}Key')}", ABSENT
        if entry.tag.endswith("}Version"):
            value = actor.world.values.of_etag(entry.findtext("{*}ETag", ""), int(entry.findtext("{*}Size", "")))
            listed.add((path, entry.findtext("{*}VersionId")))
        if entry.findtext("{*}IsLatest") == "true":
            found[path].append(value)
    for path, latest in found.items():
        if len(latest) > 1:
            actor.unexpected(f"{path} has several latest versions {latest}", answer)
        value = latest[0] if latest else ABSENT
        actor.note(path, call, f"list of versions -> value {value}", equal=value)


# Writes


async def put(actor: Actor) -> None:
    path = actor.path()
    when, (number, body) = condition(actor, path), actor.world.values.new()
    call = actor.world.tick()
    answer = await _maybe(actor.ask("PUT", path, headers=when.headers, body=body))
    if when.note(actor, path, call, f"PUT value {number}", answer, number) and answer:
        actor.learned(path, answer, number)
        actor.saw(path, answer.headers["etag"], number)


async def complete(actor: Actor) -> None:
    path = actor.path()
    created = ElementTree.fromstring((await actor.ask("POST", path, {"uploads": ""})).body)
    upload = created.findtext("{*}UploadId") or ""
    number, parts = actor.world.values.new_in_parts()
    named = ""
    for index, part in enumerate(parts, 1):
        etag = (await actor.ask("PUT", path, {"partNumber": str(index), "uploadId": upload}, body=part)).headers["etag"]
        named += f"<Part><PartNumber>{index}</PartNumber><ETag>{etag}</ETag></Part>"
    body = f"<CompleteMultipartUpload>{named}</CompleteMultipartUpload>".encode()
    when, call = condition(actor, path), actor.world.tick()
    answer = await _maybe(actor.ask("POST", path, {"uploadId": upload}, when.headers, body))
    if when.note(actor, path, call, f"complete value {number}", answer, number) and answer:
        actor.learned(path, answer, number)


async def stream_write(actor: Actor) -> None:
    path = actor.path()
    when, (number, body) = actor.dice.choice((ALWAYS, IF_ABSENT)), actor.world.values.new()
    call = actor.world.tick()
    answer = await _maybe(actor.rpc("PUT", path, when.headers, body))
    when.note(actor, path, call, f"stream of value {number}", answer, number)


async def delete(actor: Actor) -> None:
    path = actor.path()
    seen = actor.world.seen.get(path)
    when = _if_match(*seen) if seen and actor.dice.random() < 0.5 else ALWAYS
    call = actor.world.tick()
    answer = await _maybe(actor.ask("DELETE", path, headers=when.headers))
    when.note(actor, path, call, "DELETE", answer, ABSENT)


async def delete_several(actor: Actor) -> None:
    bucket = actor.dice.choice((PLAIN, VERSIONED))
    paths = actor.dice.sample(actor.world.paths(bucket), 2)
    named = "".join(f"<Object><Key>{path.removeprefix(f'/{bucket}/')}</Key></Object>" for path in paths)
    body = f"<Delete>{named}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    call = actor.world.tick()
    answer = await _maybe(actor.ask("POST", f"/{bucket}", {"delete": ""}, {"content-md5": digest}, body))
    if answer is not None and (answer.status != 200 or b"<Error>" in answer.body):
        actor.unexpected(f"DeleteObjects of {paths}", answer)
        return
    for path in paths:
        actor.note(path, call, "DeleteObjects", sets=(ABSENT,), known=answer is not None)


async def copy(actor: Actor) -> None:
    """A read of one key and then a write of another; sometimes only of the value that somebody saw."""
    source, target = actor.path(), actor.path()
    if source == target:
        return await put(actor)
    seen = actor.world.seen.get(source) if actor.dice.random() < 0.5 else None
    headers = {"x-amz-copy-source": source, **({"x-amz-copy-source-if-match": seen[0]} if seen else {})}
    call = actor.world.tick()
    answer = await _maybe(actor.ask("PUT", target, headers=headers))
    told = f"copy of {source} to {target} -> {answer or 'unknown'}"
    if answer is None:
        candidates = (seen[1],) if seen else actor.world.written()
        actor.note(target, call, told, sets=candidates, known=False)
    elif answer.status == 200 and not answer.code:
        etag = ElementTree.fromstring(answer.body).findtext("{*}ETag", "")
        value = actor.world.values.of_etag(etag, None)
        actor.note(source, call, told, equal=value)
        actor.note(target, call, told, sets=(value,))
        actor.learned(target, answer, value)
    elif answer.status == 404:
        actor.note(source, call, told, equal=ABSENT)
    elif answer.status == 412 and seen:
        actor.note(source, call, told, unlike=(seen[1], ABSENT))
    else:
        actor.unexpected(told, answer)


async def _maybe(asked: Awaitable[Answer]) -> Answer | None:
    try:
        return await asked
    except Unknown:
        return None


ACTIONS: dict[Action, int] = {
    get: 20,
    head: 8,
    get_range: 4,
    get_if_changed: 4,
    get_version: 3,
    stream_read: 3,
    list_keys: 6,
    list_versions: 2,
    put: 26,
    complete: 6,
    stream_write: 3,
    delete: 8,
    delete_several: 2,
    copy: 6,
}
"""How often each is done, among the others."""
