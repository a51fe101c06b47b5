"""The checks of ``reliability`` can fail: what is lost, torn or mixed up is found."""

from __future__ import annotations

import pytest

from reliability.bodies import body_of, is_whole
from reliability.inspection import Found, judge
from reliability.world import (
    UNKNOWN,
    Abort,
    AddVersion,
    Complete,
    Create,
    Delete,
    DropVersion,
    Effect,
    Held,
    Part,
    Put,
    PutPart,
    Version,
    World,
    held,
    put_together,
)

OLD, NEW = held(body_of("old", 300)), held(body_of("new", 5000))
PART = Part.of("part", 100)
WHOLE = put_together({1: PART})


def world(*effects: Effect) -> World:
    made = World()
    for effect in effects:
        made = made.after(effect)
    return made


def findings(found: World, before: World, doubt: Effect | None = None) -> list[str]:
    parts = {
        id: {number: Held("", part.size, part.etag) for number, part in upload.parts.items()}
        for id, upload in found.uploads.items()
    }
    return judge(Found(found, parts), {"c": (before, doubt)}).lost


def test_bodies_tell_when_they_are_torn_or_mixed() -> None:
    one, other = body_of("one", 5000), body_of("other", 5000)
    assert is_whole(one) and is_whole(one + other) and is_whole(b"") and is_whole(body_of("tiny", 1))
    assert not is_whole(one[:-1]) and not is_whole(one[:2500] + other[2500:]) and not is_whole(one + b"\0")
    assert not is_whole(one[:4096] + bytes(904)) and not is_whole(one + other[:100])


UPLOAD = (Create("u", "c/1"), PutPart("u", 1, PART))
HAD = (Put("c/1", OLD),)
VERSIONS = (AddVersion("c/1", Version("a", OLD)), AddVersion("c/1", Version("b", None)))


@pytest.mark.parametrize(
    ("before", "doubt", "found"),
    [
        (HAD, None, HAD),
        (HAD, Put("c/1", NEW), HAD),
        (HAD, Put("c/1", NEW), (Put("c/1", NEW),)),
        (HAD, Put("c/1", NEW._replace(etag=UNKNOWN)), (Put("c/1", NEW),)),
        ((*HAD, Put("c/2", OLD)), Delete(("c/1", "c/2")), (Put("c/2", OLD),)),
        (VERSIONS, AddVersion("c/1", Version(UNKNOWN, NEW)), (*VERSIONS, AddVersion("c/1", Version("x", NEW)))),
        (VERSIONS, DropVersion("c/1", "a"), (*VERSIONS, DropVersion("c/1", "a"))),
        (UPLOAD, Complete("u", "c/1", WHOLE), UPLOAD),
        (UPLOAD, Complete("u", "c/1", WHOLE), (Put("c/1", WHOLE),)),
        (UPLOAD, Abort("u"), ()),
        ((), Create(UNKNOWN, "c/1"), (Create("u", "c/1"),)),
    ],
)
def test_what_may_be_is_no_finding(before: tuple[Effect, ...], doubt: Effect, found: tuple[Effect, ...]) -> None:
    assert findings(world(*found), world(*before), doubt) == []


@pytest.mark.parametrize(
    ("before", "doubt", "found"),
    [
        (HAD, None, ()),
        (HAD, None, (Put("c/1", NEW),)),
        (HAD, None, (Put("c/1", OLD._replace(etag="0" * 32)),)),
        (HAD, Put("c/2", NEW), (Put("c/2", NEW),)),
        (HAD, Put("c/1", NEW), ()),
        (HAD, Delete(("c/1",)), (Put("c/1", NEW),)),
        ((), None, (Put("c/1", OLD),)),
        ((), None, (Put("x/1", OLD),)),
        ((), None, (Put("refused/c", OLD),)),
        (VERSIONS, None, VERSIONS[:1]),
        (VERSIONS, DropVersion("c/1", "a"), (*VERSIONS, DropVersion("c/1", "b"))),
        (VERSIONS, None, VERSIONS[::-1]),
        (UPLOAD, None, ()),
        (UPLOAD, None, UPLOAD[:1]),
        (UPLOAD, Complete("u", "c/1", WHOLE), (*UPLOAD, Put("c/1", WHOLE))),
        (UPLOAD, Complete("u", "c/1", WHOLE), ()),
        ((*UPLOAD, Abort("u")), None, UPLOAD),
    ],
)
def test_what_must_not_be_is_found(before: tuple[Effect, ...], doubt: Effect, found: tuple[Effect, ...]) -> None:
    assert findings(world(*found), world(*before), doubt)
