"""API keys and sealing."""

from __future__ import annotations

import base64
import re
import threading
from pathlib import Path

import pytest

from gateway.auth.credentials import (
    MasterKey,
    MasterKeyError,
    hash_secret,
    load_master_key,
    mint,
    parse_api_key,
    verify_secret,
)

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


def test_minted_keys_have_their_shape() -> None:
    keys = [mint() for _ in range(50)]
    assert len({key.id for key in keys}) == len({key.secret for key in keys}) == 50
    for key in keys:
        assert re.fullmatch("NX[A-Z2-7]{18}", key.id)
        assert re.fullmatch("[A-Za-z0-9]{40}", key.secret)
        assert key.access_key_id == key.id
        assert parse_api_key(key.api_key) == (key.id, key.secret)
        assert verify_secret(key.secret, key.verifier_hash)
        assert key.secret not in repr(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nxk_",
        "nxk_a_b",
        f"nxk_{'A' * 20}_{'a' * 39}",
        f"nxk_{'A' * 20}_{'a' * 41}",
        f"nxk_{'A' * 20}_{'a' * 40}\n",
        f"NXK_{'A' * 20}_{'a' * 40}",
        f"nxk_{'a' * 20}_{'a' * 40}",
        f"nxk_{'A' * 20}_{'a' * 39}é",
    ],
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert parse_api_key(text) is None


def test_a_wrong_secret_is_wrong() -> None:
    assert not verify_secret("a" * 40, hash_secret("b" * 40))
    assert not verify_secret("", hash_secret("b" * 40))


def test_sealed_opens_in_its_context_only() -> None:
    master = MasterKey(KEY)
    sealed = master.seal(b"secret", b"key:1")
    assert master.open(sealed, b"key:1") == b"secret"
    assert b"secret" not in sealed
    assert sealed != master.seal(b"secret", b"key:1")
    with pytest.raises(MasterKeyError):
        master.open(sealed, b"key:2")
    with pytest.raises(MasterKeyError):
        MasterKey(OTHER).open(sealed, b"key:1")


def test_no_altered_byte_opens() -> None:
    master = MasterKey(KEY)
    sealed = master.seal(b"secret", b"c")
    for at in range(len(sealed)):
        with pytest.raises(MasterKeyError):
            master.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"c")
    for length in range(len(sealed)):
        with pytest.raises(MasterKeyError):
            master.open(sealed[:length], b"c")


def test_keys_rotate() -> None:
    sealed = MasterKey(KEY).seal(b"secret", b"c")
    rotated = MasterKey(OTHER, [KEY])
    assert rotated.open(sealed, b"c") == b"secret"
    assert not rotated.is_current(sealed)
    anew = rotated.seal(b"secret", b"c")
    assert rotated.is_current(anew)
    assert MasterKey(OTHER).open(anew, b"c") == b"secret"


def test_a_master_key_does_not_show() -> None:
    shown = repr(MasterKey(KEY))
    assert KEY.hex() not in shown
    assert base64.b64encode(KEY).decode() not in shown


@pytest.mark.parametrize(
    "value",
    [
        KEY.hex(),
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
        f" {KEY.hex()}\n",
        f"{KEY.hex()},{OTHER.hex()}",
    ],
)
def test_the_environment_comes_first(value: str, tmp_path: Path) -> None:
    sealed = MasterKey(KEY).seal(b"secret", b"c")
    assert load_master_key(value, tmp_path / "key").open(sealed, b"c") == b"secret"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["short", "zz" * 32, "é" * 44, KEY.hex()[:-1], KEY.hex() + ",x"])
def test_a_malformed_key_is_refused_and_not_shown(value: str, tmp_path: Path) -> None:
    with pytest.raises(MasterKeyError) as caught:
        load_master_key(value, tmp_path / "key")
    assert value not in str(caught.value)


def test_a_file_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    sealed = load_master_key(None, path).seal(b"secret", b"c")
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_master_key("", path).open(sealed, b"c") == b"secret"
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    load_master_key(None, path)
    path.chmod(0o640)
    with pytest.raises(MasterKeyError, match="0600"):
        load_master_key(None, path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.touch(0o600)
    with pytest.raises(MasterKeyError):
        load_master_key(None, path)


def test_workers_that_start_together_share_one_key(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    keys: list[MasterKey] = []
    threads = [threading.Thread(target=lambda: keys.append(load_master_key(None, path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed = keys[0].seal(b"secret", b"c")
    assert {key.open(sealed, b"c") for key in keys} == {b"secret"}
    assert len(keys) == 8
