"""Listings of all kinds against a loop over everything there is, by random questions with a seed.

Keys are as odd as keys may be: control characters, the ends of Unicode's planes (which UTF-16 orders otherwise), empty
segments, keys that begin others, keys of 1,024 bytes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, keys_of, unique
from tests.e2e.signing import Raw

SEED = 20261125
KEYS, QUESTIONS = 60, 20
LETTERS = [
    *"ab/-/",
    "é",
    "\x01",
    "\r",
    "\x7f",
    "&",
    "+",
    "%2F",
    "\ud7ff",
    "\ue000",
    "\uffff",
    "\U00010000",
    "\U0010ffff",
]
CONTROLS = {"\x01", "\r"}
DELIMITERS = ["", "", "/", "/", "//", "-", "é", "a/", "b", "\x01", "%", "\uffff", "\U0010ffff", "/\U0010ffff", "none"]
LONG = ["a/" * 512, "\U0010ffff" * 256, "b" * 1024]
Entry = tuple[str, str]
"""A key, and which of its versions or uploads; of a common prefix, ``None`` in the place of that is "prefix"."""


@dataclass
class Filled:
    """A bucket of each kind and all that is in it, as its listings have it in order."""

    plain: str = field(default_factory=lambda: unique("model"))
    versioned: str = field(default_factory=lambda: unique("model"))
    keys: list[Entry] = field(default_factory=list)
    versions: list[Entry] = field(default_factory=list)
    uploads: list[Entry] = field(default_factory=list)


class Question(NamedTuple):
    prefix: str
    delimiter: str
    after: str
    which: str
    """Of the key ``after``, which version or upload comes before the first; none: the whole key does."""
    size: int


@pytest.fixture(scope="module")
def filled(s3: BaseClient) -> Iterator[Filled]:
    rng, made = random.Random(SEED), Filled()
    names = {"".join(rng.choices(LETTERS, k=rng.randint(1, 5))) for _ in range(KEYS)} | set(LONG)
    keys = sorted(names - {".", ".."}, key=str.encode)
    s3.create_bucket(Bucket=made.plain)
    s3.create_bucket(Bucket=made.versioned)
    s3.put_bucket_versioning(Bucket=made.versioned, VersioningConfiguration={"Status": "Enabled"})
    for key in rng.sample(keys, len(keys)):
        s3.put_object(Bucket=made.plain, Key=key, Body=b"")
    made.keys = [(key, "") for key in keys]
    for key in keys:
        made.versions += [(key, each) for each in _versions_of(s3, made.versioned, key, rng)]
        # The answer has the key as it is, which no parser of XML 1.0 takes with control characters.
        wanted = 0 if set(key) & CONTROLS else rng.randint(0, 3)
        ids = [s3.create_multipart_upload(Bucket=made.plain, Key=key)["UploadId"] for _ in range(wanted)]
        made.uploads += [(key, each) for each in sorted(ids)]
    yield made
    for key, upload in made.uploads:
        s3.abort_multipart_upload(Bucket=made.plain, Key=key, UploadId=upload)


def _versions_of(s3: BaseClient, bucket: str, key: str, rng: random.Random) -> list[str]:
    """Versions and delete markers, the latest first."""
    found = []
    for _ in range(rng.randint(0, 4)):
        put = s3.delete_object if rng.random() < 0.3 else s3.put_object
        found.append(put(Bucket=bucket, Key=key)["VersionId"])
    if found and rng.random() < 0.3:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=found.pop(rng.randrange(len(found))))
    return found[::-1]


def expected(items: list[Entry], question: Question, whole_prefixes: bool) -> list[Entry]:
    """What all pages together tell. ``whole_prefixes``: where to begin within a common prefix is past all of it."""
    prefix, delimiter, after, which, _ = question
    entries: dict[Entry, None] = {}
    begun = not which
    for key, each in items:
        began, begun = begun, begun or (key, each) == (after, which)
        past = began if key == after and which else key.encode() > after.encode()
        if not key.startswith(prefix):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        rolled = key[: cut + len(delimiter)]
        if cut < 0 and past:
            entries[key, each] = None
        elif cut >= 0 and past and not (after.startswith(rolled) if whole_prefixes else after == rolled):
            entries[rolled, "prefix"] = None
    return list(entries)


def questions(rng: random.Random, items: list[Entry], with_ids: bool) -> Iterator[Question]:
    for _ in range(QUESTIONS):
        key, which = rng.choice(items)
        prefix = rng.choice(["", "", "a", "/", "\U0010ffff", key[:1], key[:2], rng.choice(items)[0]])
        delimiter = rng.choice(DELIMITERS)
        after = rng.choice(["", "", "", key, key, key[:1], key + "/", prefix + delimiter, prefix])
        exact = with_ids and after == key and rng.random() < 0.7
        yield Question(prefix, delimiter, after, which if exact else "", rng.choice([1, 2, 3, 7, 1000, 1001]))


def pages(
    ask: Callable[..., dict[str, Any]], first: dict[str, Any], following: dict[str, str], size: int
) -> Iterator[dict[str, Any]]:
    """Every page; ``following`` says which member of a page is which argument of the next."""
    arguments = first
    for _ in range(500):
        page = ask(**arguments)
        told = sum(len(page.get(each, [])) for each in ("Contents", "Versions", "DeleteMarkers", "Uploads"))
        assert told + len(page.get("CommonPrefixes", [])) <= min(size, 1000)
        yield page
        if not page["IsTruncated"]:
            return
        assert told + len(page.get("CommonPrefixes", [])) == min(size, 1000)
        arguments = dict(first)
        for argument, member in following.items():
            arguments.pop(argument, None)
            if page.get(member):
                arguments[argument] = page[member]
    raise AssertionError("the listing has no end")


def entries_of(page: dict[str, Any], member: str, which: str, order: list[Entry]) -> list[Entry]:
    """A page's entries in the order of their names, each of the members in its own."""
    found = [(entry["Key"], entry.get(which, "")) for each in member.split() for entry in page.get(each, [])]
    if len(member.split()) > 1:
        found.sort(key=order.index)
    rolled = [(entry["Prefix"], "prefix") for entry in page.get("CommonPrefixes", [])]
    return sorted(found + rolled, key=lambda entry: entry[0].encode())


@pytest.mark.parametrize("seed", range(2))
def test_keys_are_listed_as_the_model_says(s3: BaseClient, filled: Filled, seed: int) -> None:
    for question in questions(random.Random(SEED + seed), filled.keys, False):
        prefix, delimiter, after, _, size = question
        where = {"Bucket": filled.plain, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": size}
        first = {**where, "StartAfter": after}
        found = list(pages(s3.list_objects_v2, first, {"ContinuationToken": "NextContinuationToken"}, size))
        told = [entry for page in found for entry in entries_of(page, "Contents", "", filled.keys)]
        assert told == expected(filled.keys, question, False), question
        if set(prefix) & CONTROLS:
            continue  # version 1 tells it as it is, which no parser of XML 1.0 takes
        ask = lambda **arguments: _with_marker(s3.list_objects(**arguments))  # noqa: E731
        found = list(pages(ask, {**where, "Marker": after}, {"Marker": "NextMarker"}, size))
        told = [entry for page in found for entry in entries_of(page, "Contents", "", filled.keys)]
        assert told == expected(filled.keys, question, True), question


def _with_marker(page: dict[str, Any]) -> dict[str, Any]:
    """Version 1 tells no next marker without a delimiter: the last key is it."""
    if page["IsTruncated"] and "NextMarker" not in page:
        page["NextMarker"] = page["Contents"][-1]["Key"]
    return page


@pytest.mark.parametrize("seed", range(2))
def test_versions_are_listed_as_the_model_says(s3: BaseClient, filled: Filled, seed: int) -> None:
    for question in questions(random.Random(SEED + seed), filled.versions, True):
        prefix, delimiter, after, which, size = question
        first = {"Bucket": filled.versioned, "Prefix": prefix, "Delimiter": delimiter, "MaxKeys": size}
        first |= {"KeyMarker": after, **({"VersionIdMarker": which} if which else {})}
        following = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        found = list(pages(s3.list_object_versions, first, following, size))
        told = [e for page in found for e in entries_of(page, "Versions DeleteMarkers", "VersionId", filled.versions)]
        assert told == expected(filled.versions, question, True), question


def _decoded(page: dict[str, Any]) -> dict[str, Any]:
    """boto3 does this to the other listings by itself."""
    page["NextKeyMarker"] = unquote(page["NextKeyMarker"])
    for member, name in (("Uploads", "Key"), ("CommonPrefixes", "Prefix")):
        for entry in page.get(member, []):
            entry[name] = unquote(entry[name])
    return page


def test_versions_and_delete_markers_come_in_one_order(server: Server, filled: Filled) -> None:
    status, _, body = Raw(server).send("GET", f"/{filled.versioned}", {"versions": "", "encoding-type": "url"})
    found = re.findall(b"<(?:Version|DeleteMarker)><Key>(.*?)</Key><VersionId>(.*?)</VersionId>", body)
    assert status == 200
    assert [(unquote(key.decode()), each.decode()) for key, each in found] == filled.versions


@pytest.mark.parametrize("seed", range(2))
def test_uploads_are_listed_as_the_model_says(s3: BaseClient, filled: Filled, seed: int) -> None:
    for question in questions(random.Random(SEED + seed), filled.uploads, True):
        prefix, delimiter, after, which, size = question
        first = {"Bucket": filled.plain, "Prefix": prefix, "Delimiter": delimiter, "MaxUploads": size}
        first |= {"KeyMarker": after, **({"UploadIdMarker": which} if which else {})}
        following = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        ask = lambda **arguments: _decoded(s3.list_multipart_uploads(EncodingType="url", **arguments))  # noqa: E731
        found = list(pages(ask, first, following, size))
        told = [entry for page in found for entry in entries_of(page, "Uploads", "UploadId", filled.uploads)]
        assert told == expected(filled.uploads, question, True), question


def test_parts_are_listed_as_the_model_says(s3: BaseClient, bucket: str) -> None:
    rng = random.Random(SEED)
    numbers = sorted(rng.sample(range(1, 10_001), 25))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    for number in rng.sample(numbers, len(numbers)):
        s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=number, Body=b"%d" % number)
    for size, after in [(0, 0), (1, 0), (2, numbers[3]), (7, numbers[3] - 1), (25, 0), (1001, 10_000)]:
        told: list[int] = []
        marker, more = after, True
        while more:
            page = s3.list_parts(Bucket=bucket, Key="k", UploadId=upload, MaxParts=size, PartNumberMarker=marker)
            told += [part["PartNumber"] for part in page.get("Parts", [])]
            marker, more = page["NextPartNumberMarker"], page["IsTruncated"]
        assert told == ([number for number in numbers if number > after] if size else [])


@pytest.mark.parametrize("wrong", ["%ED%A0%80", "%ED%A0%BD%ED%B8%80", "%FF", "%F4%90%80%80", "%C0%AF"])
def test_no_key_is_what_is_not_text(server: Server, s3: BaseClient, bucket: str, wrong: str) -> None:
    status, _, body = Raw(server).send("PUT", f"/{bucket}/a{wrong}", body=b"x")
    assert (status, b"<Code>InvalidURI</Code>" in body, keys_of(s3, bucket)) == (400, True, [])
