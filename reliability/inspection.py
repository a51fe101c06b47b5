"""What a gateway holds, read over S3, and held against what its clients know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reliability.bodies import is_whole
from reliability.s3 import S3
from reliability.workload import PLAIN, REFUSED, VERSIONED, Client
from reliability.world import UNKNOWN, Complete, Effect, Held, Part, Upload, Version, World, held


@dataclass
class Found:
    """What is there, whoever it belongs to; ``torn`` tells objects that contradict themselves."""

    world: World = field(default_factory=World)
    parts: dict[str, dict[int, Held]] = field(default_factory=dict)
    """Of uploads: size and ETag of each part; their bytes cannot be read."""
    torn: list[str] = field(default_factory=list)


def look(s3: S3) -> Found:
    """Read everything: lists, and each object that they tell."""
    found = Found()
    for entry in _pages(s3, PLAIN, {"list-type": "2"}, "Contents", ("continuation-token", "NextContinuationToken")):
        key = entry["Key"]
        if (seen := _get(s3, PLAIN, key, {}, entry, found.torn)) is not None:
            found.world.objects[key] = seen
    _look_at_versions(s3, found)
    answer = s3.call("GET", f"/{PLAIN}", {"uploads": ""})
    for _, entry in answer.elements("Upload"):
        upload_id, key = entry["UploadId"], entry["Key"]
        found.world.uploads[upload_id] = Upload(key)
        parts = s3.call("GET", f"/{PLAIN}/{key}", {"uploadId": upload_id})
        found.parts[upload_id] = {
            int(part["PartNumber"]): Held("", int(part["Size"]), part["ETag"]) for _, part in parts.elements("Part")
        }
    return found


def _look_at_versions(s3: S3, found: Found) -> None:
    query, more = {"versions": ""}, True
    while more:
        answer = s3.call("GET", f"/{VERSIONED}", query)
        for kind, entry in answer.elements("Version", "DeleteMarker"):
            key, version_id, seen = entry["Key"], entry["VersionId"], None
            if kind == "Version":
                seen = _get(s3, VERSIONED, key, {"versionId": version_id}, entry, found.torn)
                if seen is None:
                    continue
            there, version = found.world.versions.get(key, ()), Version(version_id, seen)
            # Delete markers are told after the versions, not between them; which is the latest is told with each.
            found.world.versions[key] = (version, *there) if entry["IsLatest"] == "true" else (*there, version)
        more = answer.text("IsTruncated") == "true"
        query |= {"key-marker": answer.text("NextKeyMarker"), "version-id-marker": answer.text("NextVersionIdMarker")}


def _pages(s3: S3, bucket: str, query: dict[str, str], name: str, token: tuple[str, str]) -> Iterable[dict[str, str]]:
    while True:
        answer = s3.call("GET", f"/{bucket}", query)
        for _, entry in answer.elements(name):
            yield entry
        if answer.text("IsTruncated") != "true":
            return
        query = {**query, token[0]: answer.text(token[1])}


def _get(s3: S3, bucket: str, key: str, query: dict[str, str], entry: dict[str, str], torn: list[str]) -> Held | None:
    """An object that a list tells; its bytes, its headers and the list must agree."""
    answer = s3.call("GET", f"/{bucket}/{key}", query)
    where = f"{bucket}/{key}{query or ''}"
    if not answer.ok:
        torn.append(f"{where} is listed, but GET answers {answer}")
        return None
    seen = held(answer.body)
    agree = {
        "its bytes are not one whole": is_whole(answer.body),
        f"{seen.size} bytes came, the list says {entry['Size']}": int(entry["Size"]) == seen.size,
        f"{seen.size} bytes came, the header says {answer.headers.get('content-length')}": (
            answer.headers.get("content-length") == str(seen.size)
        ),
        f"the ETag is {answer.etag}, the list says {entry['ETag']}": entry["ETag"] == answer.etag,
        f"the ETag is {answer.etag}, the bytes say {seen.etag}": "-" in answer.etag or answer.etag == seen.etag,
    }
    torn += [f"{where}: {what}" for what, true in agree.items() if not true]
    return seen._replace(etag=answer.etag)


@dataclass
class Judged:
    """``lost``: something is neither as acknowledged nor as the operation under way would leave it."""

    lost: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.lost and not self.torn


def judge(found: Found, worlds: dict[str, tuple[World, Effect | None]]) -> Judged:
    """Hold what was found against each client's world (by the client's name)."""
    judged = Judged(torn=list(found.torn))
    judged.lost += [f"{key} was refused, and is there" for key in found.world.objects if key.startswith(REFUSED)]
    names = {key.split("/")[0] for key in (*found.world.objects, *found.world.versions)} - {REFUSED.rstrip("/")}
    judged.lost += [f"{name}/ is nobody's" for name in sorted(names - worlds.keys())]
    for name, (world, doubt) in worlds.items():
        _judge_one(_of(found.world, name), found.parts, world, doubt, judged.lost)
    return judged


def _of(world: World, client: str) -> World:
    """What of a world is a client's."""
    prefix = f"{client}/"
    return World(
        {key: value for key, value in world.objects.items() if key.startswith(prefix)},
        {key: value for key, value in world.versions.items() if key.startswith(prefix)},
        {key: value for key, value in world.uploads.items() if value.key.startswith(prefix)},
    )


def _judge_one(
    found: World, parts: dict[str, dict[int, Held]], before: World, doubt: Effect | None, lost: list[str]
) -> None:
    after = before.after(doubt)
    for key in sorted({*found.objects, *before.objects, *after.objects}):
        seen, allowed = found.objects.get(key), [world.objects.get(key) for world in (before, after)]
        if not any(_same(seen, each) for each in allowed):
            lost.append(f"{PLAIN}/{key} is {seen}, not {' or '.join(map(str, dict.fromkeys(allowed)))}")
    for key in sorted({*found.versions, *before.versions, *after.versions}):
        there, allowed_versions = found.versions.get(key, ()), [w.versions.get(key, ()) for w in (before, after)]
        if not any(_same_versions(there, each) for each in allowed_versions):
            lost.append(f"{VERSIONED}/{key} has the versions {there}, not {' or '.join(map(str, allowed_versions))}")
    _judge_uploads(found, parts, before, after, lost)
    if isinstance(doubt, Complete):
        done = _same(found.objects.get(doubt.key), doubt.held)
        if done == (doubt.id in found.uploads) and not _same(before.objects.get(doubt.key), doubt.held):
            lost.append(
                f"the upload {doubt.id} of {doubt.key} is {'done and open' if done else 'neither done nor open'}"
            )


def _judge_uploads(
    found: World, parts: dict[str, dict[int, Held]], before: World, after: World, lost: list[str]
) -> None:
    for upload_id in sorted({*found.uploads, *before.uploads, *after.uploads} - {UNKNOWN}):
        options = [world.uploads.get(upload_id) for world in (before, after)]
        if upload_id not in found.uploads:
            if None not in options:
                lost.append(f"the upload {upload_id} of {before.uploads[upload_id].key} is gone")
            continue
        if options == [None, None]:
            made = after.uploads.get(UNKNOWN)
            if made is None or made.key != found.uploads[upload_id].key or parts[upload_id]:
                lost.append(f"the upload {upload_id} of {found.uploads[upload_id].key} was ended, and is there")
            continue
        seen = parts[upload_id]
        told = [{n: Held("", p.size, p.etag) for n, p in option.parts.items()} for option in options if option]
        if seen not in told:
            lost.append(f"the upload {upload_id} has the parts {seen}, not {' or '.join(map(str, told))}")


def _same(seen: Held | None, expected: Held | None) -> bool:
    return seen is None if expected is None else expected.matches(seen)


def _same_versions(seen: tuple[Version, ...], expected: tuple[Version, ...]) -> bool:
    """The same latest, and the same order among the versions and among the delete markers."""
    return _alike(seen[:1], expected[:1]) and all(
        _alike([v for v in seen if (v.held is None) is marker], [v for v in expected if (v.held is None) is marker])
        for marker in (False, True)
    )


def _alike(seen: Sequence[Version], expected: Sequence[Version]) -> bool:
    return len(seen) == len(expected) and all(
        (there.id == wanted.id or wanted.id == UNKNOWN) and _same(there.held, wanted.held)
        for there, wanted in zip(seen, expected, strict=True)
    )


def adopt(client: Client, found: Found, s3: S3) -> None:
    """Go on from what was found, once it was judged; an upload whose id never arrived is aborted."""
    before, after = client.world, client.world.after(client.doubt)
    mine = _of(found.world, client.name)
    for upload_id, upload in list(mine.uploads.items()):
        known = [world.uploads[upload_id] for world in (after, before) if upload_id in world.uploads]
        fitting = [each for each in known if _sizes(each.parts) == found.parts[upload_id]]
        if fitting:
            mine.uploads[upload_id] = fitting[0]
            continue
        s3.call("DELETE", f"/{PLAIN}/{upload.key}", {"uploadId": upload_id})
        del mine.uploads[upload_id]
    for key, there in mine.versions.items():
        # In the order that was acknowledged, which the list does not tell of versions and delete markers together.
        known_order = next(
            (order for world in (after, before) if _same_versions(there, order := world.versions.get(key, ()))), there
        )
        mine.versions[key] = tuple(each if each.id else each._replace(id=there[0].id) for each in known_order)
    client.world, client.doubt = mine, None


def _sizes(parts: dict[int, Part]) -> dict[int, Held]:
    return {number: Held("", part.size, part.etag) for number, part in parts.items()}
