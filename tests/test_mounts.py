"""Which mount serves a path: the whole rule as a table."""

from __future__ import annotations

import pytest

from gateway.errors import BackendNotFound, BadMount, ReadOnlyMount
from gateway.mounts import MountTable, bucket_of, check_mount_point, reasons
from gateway.types import Mount


def table(*mounts: tuple[str, int]) -> MountTable:
    return MountTable(Mount(point, index, priority, False, 0) for index, (point, priority) in enumerate(mounts))


@pytest.mark.parametrize(
    ("mounts", "path", "winner"),
    [
        # the only one, and what lies below it
        ([("/", 0)], "/b/k", "/"),
        ([("/workspace", 0)], "/workspace", "/workspace"),
        ([("/workspace", 0)], "/workspace/a/b", "/workspace"),
        # of equal priority the longest wins
        ([("/", 0), ("/workspace", 0)], "/workspace/a", "/workspace"),
        ([("/", 0), ("/workspace", 0)], "/other/a", "/"),
        ([("/workspace", 0), ("/workspace/shared", 0)], "/workspace/shared/x", "/workspace/shared"),
        # whole segments
        ([("/workspace", 0), ("/workspace/shared", 0)], "/workspace/sharedx", "/workspace"),
        ([("/workspace", 0), ("/workspace/shared", 10)], "/workspace/share", "/workspace"),
        ([("/", 0), ("/workspace", 5)], "/workspacex/k", "/"),
        # the mount point itself is covered
        ([("/workspace", 0), ("/workspace/shared", 0)], "/workspace/shared", "/workspace/shared"),
        # priority beats length, both ways
        ([("/workspace", 20), ("/workspace/shared", 10)], "/workspace/shared/x", "/workspace"),
        ([("/workspace", 0), ("/workspace/shared", 10)], "/workspace/shared/x", "/workspace/shared"),
        ([("/", 30), ("/a", 20), ("/a/b", 10)], "/a/b/c", "/"),
        ([("/", -5), ("/a", -10)], "/a/k", "/"),
        # keys are opaque: dots and empty segments are not navigation
        ([("/a", 0), ("/a/b", 0)], "/a/x/../b/c", "/a"),
        ([("/a", 0), ("/a/b", 0)], "/a//b/c", "/a"),
        ([("/a", 0), ("/a/b", 0)], "/a/b//c", "/a/b"),
        ([("/a", 0), ("/a/b", 0)], "/a/b/", "/a/b"),
        # case matters
        ([("/", 0), ("/A", 0)], "/a/k", "/"),
    ],
)
def test_the_winner_by_priority_then_length(mounts: list[tuple[str, int]], path: str, winner: str) -> None:
    for ordering in (mounts, mounts[::-1]):
        assert table(*ordering).resolve(path).mount_point == winner


@pytest.mark.parametrize("path", ["/b", "/b/k", "/workspacex/k"])
def test_no_mount_is_an_error_that_names_the_path(path: str) -> None:
    with pytest.raises(BackendNotFound, match=f"Backend not found for path {path}$"):
        table(("/workspace", 0)).resolve(path)


def test_a_readonly_winner_refuses_writes_and_names_itself() -> None:
    mounts = MountTable([Mount("/a", 1, 0, False, 0), Mount("/a/b", 2, 0, True, 0)])
    assert mounts.resolve_writable("/a/x").mount_point == "/a"
    assert mounts.resolve("/a/b/x").mount_point == "/a/b"
    with pytest.raises(ReadOnlyMount, match="/a/b"):
        mounts.resolve_writable("/a/b/x")


def test_covering_lists_the_winner_first() -> None:
    mounts = table(("/", 0), ("/a", 5), ("/a/b", 5), ("/c", 99))
    assert [mount.mount_point for mount in mounts.covering("/a/b/k")] == ["/a/b", "/a", "/"]


@pytest.mark.parametrize(("given", "meant"), [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a/b//", "/a/b"), ("//", "/")])
def test_mount_points_have_one_spelling(given: str, meant: str) -> None:
    assert check_mount_point(given) == meant


@pytest.mark.parametrize("bad", ["", "a", "a/b", "/a//b", "/./a", "/a/..", "/a\x00b", "/a\nb", "/" + "x" * 1100])
def test_bad_mount_points_are_refused(bad: str) -> None:
    with pytest.raises(BadMount):
        check_mount_point(bad)


def test_the_bucket_of_a_mount_point() -> None:
    assert [bucket_of(point) for point in ("/", "/a", "/a/b")] == [None, "a", "a"]


def test_why_a_mount_wins_is_said_in_words() -> None:
    ranked = table(("/", 0), ("/a", 0), ("/a/b", 20)).covering("/a/b/c")
    assert reasons(ranked) == [
        "serves the path: priority 20 of /a/b beats 0 of /a",
        "after /a/b: priority 20 of /a/b beats 0 of /a",
        "after /a: of the same priority, /a is longer than /",
    ]
    assert reasons(ranked[:1]) == ["the only mount that covers the path"]
    assert reasons([]) == []
