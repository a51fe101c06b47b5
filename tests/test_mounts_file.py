"""A file of mounts is read whole, or refused with the line and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import BadMount
from gateway.mounts_file import declared, read

GOOD = """
name = "production"

[[mount]]
point = "/archives/"
type = "s3"
priority = 10
readonly = true
layout = "native"
[mount.config]
bucket = "b"
timeout = 5
secret_access_key = {file = "key"}
access_key_id = {env = "TEST_MOUNTS_KEY"}

[[mount]]
point = "/b"
type = "local"
dedup_scope = "store"
config = {data_dir = "/x", fsync = false}
"""


def test_a_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_MOUNTS_KEY", "id")
    (tmp_path / "key").write_text("s3cr3t\n")
    (tmp_path / "mounts.toml").write_text(GOOD)
    found = read(tmp_path / "mounts.toml")
    assert found.name == "production"
    one, other = found.mounts
    assert (one.mount_point, one.backend_type, one.priority, one.readonly) == ("/archives", "s3", 10, True)
    assert one.config == {
        "bucket": "b",
        "timeout": "5",
        "secret_access_key": "s3cr3t",
        "access_key_id": "id",
        "layout": "native",
    }
    assert (other.config, other.dedup_scope) == ({"data_dir": "/x", "fsync": "false"}, "store")
    assert [declared(each) for each in found.dump()][1].config == other.config
    assert [declared(each).where for each in found.dump()] == [each.where for each in found.mounts], "said once"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[mount]", "line 1"),
        ('name = "a b"', "name has 1 to 128 letters"),
        ("mounts = []", "unknown: mounts"),
        ("[mount]\npoint = 1", "begins with [[mount]]"),
        ('\n\n[[mount]]\ntype = "local"', "line 3: point is missing"),
        ('[[mount]]\npoint = "/a"', "line 1: type is missing"),
        ('[[mount]]\npoint = "a"\ntype = "local"', "line 1: a mount point starts with '/'"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\npriority = "1"', "line 1: priority is not a number: '1'"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\npriority = true', "line 1: priority is not a number: True"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\npriority = 99999999999', "priority is too large"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\nreadonly = 1', "readonly is not a boolean"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\nlayout = "x"', "layout is one of cas, native"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\ncolour = 1', "line 1: unknown field colour"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\nconfig = 1', "config is not a table"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\nconfig.a = []', "config.a is neither a text nor a number"),
        ('[[mount]]\npoint = "/a"\ntype = "local"\nconfig.a = {file = "nonesuch"}', "config.a: "),
        (
            '[[mount]]\npoint = "/a"\ntype = "local"\nconfig.a = {env = "NONESUCH_X"}',
            "the environment has no NONESUCH_X",
        ),
        ('[[mount]]\npoint = "/a"\ntype = "local"\nconfig.a = {vault = "x"}', 'a secret is {file = "…"}'),
        ('[[mount]]\npoint = "/a"\ntype = "x"\n[[mount]]\npoint = "/a/"\ntype = "x"', "line 4 (/a): declared before"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "mounts.toml").write_text(text)
    with pytest.raises(BadMount) as refusal:
        read(tmp_path / "mounts.toml")
    assert str(refusal.value).startswith(str(tmp_path / "mounts.toml")) and told in str(refusal.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadMount, match="cannot be read: No such file"):
        read(tmp_path / "nonesuch.toml")
