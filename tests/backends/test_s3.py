"""The S3 store against S3 services that others wrote, and against our own gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends import s3, s3_client
from backends.base import BlobStore, StoreMisconfigured, StoreUnavailable
from backends.registry import identity, mask, open_store
from tests import services
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import Key, Server, free_port, unique


class S3Contract(RemoteStoreContract):
    @pytest.fixture
    def config(self, service: dict[str, str]) -> dict[str, str]:
        return {**service, "prefix": unique("test")}

    @pytest.fixture
    async def store(self, config: dict[str, str]) -> AsyncIterator[BlobStore]:
        store = open_store("s3", config)
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, config: dict[str, str]) -> services.S3Keys:
        return services.S3Keys(config)


class TestMoto(S3Contract):
    @pytest.fixture
    def service(self, moto: dict[str, str]) -> dict[str, str]:
        return moto


class TestGateway(S3Contract):
    @pytest.fixture
    def service(self, other_gateway: tuple[Server, dict[str, str]]) -> dict[str, str]:
        return other_gateway[1]


class TestVersity(S3Contract):
    @pytest.fixture
    def service(self, versity: dict[str, str]) -> dict[str, str]:
        return versity


async def test_a_service_without_conditional_writes_serves_as_well(
    moto: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("s3", {**moto, "prefix": unique("test")})
    put = s3.S3Bucket._put
    asked = []

    def older(self: s3.S3Bucket, key: str, content: bytes, sha256: str, **condition: str) -> None:
        asked.append(bool(condition))
        if condition:
            raise s3.Unsupported("NotImplemented")
        put(self, key, content, sha256)

    monkeypatch.setattr(s3.S3Bucket, "_put", older)
    for content in (b"one", b"two", b"one"):
        await store.put(name_of(content), content)
    assert await names_in(store) == {name_of(b"one"), name_of(b"two")}
    assert asked == [True, False, False]
    await store.close()


async def test_a_scan_goes_on_page_after_page(moto: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PAGE", 3)
    store = open_store("s3", {**moto, "prefix": unique("test")})
    names = {name_of(b"%d" % number, scope) for number in range(5) for scope in ("default", "acme")}
    for number in range(5):
        for scope in ("default", "acme"):
            await store.put(name_of(b"%d" % number, scope), b"%d" % number)
    assert await names_in(store) == names
    await store.close()


@pytest.fixture
def stranger(other_gateway: tuple[Server, dict[str, str]]) -> Key:
    """A user of the gateway without any right to the bucket."""
    return other_gateway[0].user(unique("stranger"))


async def test_what_is_wrong_is_said(other_gateway: tuple[Server, dict[str, str]], stranger: Key) -> None:
    config = other_gateway[1]
    theirs = {"access_key_id": stranger.access_key, "secret_access_key": stranger.secret_key}
    for wrong, message in [
        ({"bucket": "nonesuch"}, "there is no bucket 'nonesuch' at http"),
        ({"access_key_id": "A" * 20}, "does not accept the credentials .InvalidAccessKeyId.: correct access_key_id"),
        ({"secret_access_key": "x"}, "does not accept the credentials .SignatureDoesNotMatch."),
        (theirs, "the credentials need the permission s3:ListBucket on the bucket 'blobs'"),
    ]:
        store = open_store("s3", {**config, **wrong})
        with pytest.raises(StoreMisconfigured, match=message):
            await store.probe()  # type: ignore[attr-defined]
        await store.close()
    store = open_store("s3", {**config, **theirs})
    with pytest.raises(StoreMisconfigured, match="need the permission s3:PutObject"):
        await store.put(name_of(b"x"), b"x")
    await store.close()


async def test_a_service_that_is_not_there_may_come_back() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    config = {"bucket": "b", "endpoint_url": url, "access_key_id": "a", "secret_access_key": "b"}
    store = open_store("s3", config)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await store.probe()  # type: ignore[attr-defined]
    await store.close()


async def test_credentials_may_come_from_the_surroundings(
    moto: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    bare = {name: value for name, value in moto.items() if "key" not in name}
    s3_client._session.cache_clear()
    store = open_store("s3", bare)
    with pytest.raises(StoreMisconfigured, match="no credentials for S3: give access_key_id"):
        await store.probe()  # type: ignore[attr-defined]
    await store.close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "moto")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "moto-secret")
    s3_client._session.cache_clear()
    store = open_store("s3", bare)
    await store.probe()  # type: ignore[attr-defined]
    await store.close()
    s3_client._session.cache_clear()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"endpoint_url": "file:///etc/passwd"}, "endpoint_url must be like https://host"),
        ({"endpoint_url": "ftp://host"}, "endpoint_url must be like"),
        ({"endpoint_url": "http://host:none"}, "endpoint_url must be like"),
        ({"endpoint_url": "http://user:pw@host"}, "an address alone"),
        ({"endpoint_url": "http://host/?a=b"}, "an address alone"),
        ({"endpoint_url": "http://169.254.169.254/"}, "link-local"),
        ({"endpoint_url": "http://[fe80::1]:80"}, "link-local"),
        ({"endpoint_url": "http://[::ffff:169.254.169.254]"}, "link-local"),
        ({"prefix": "a/../b"}, "prefix must not"),
        ({"prefix": "a//b"}, "prefix must not"),
        ({"prefix": "a\nb"}, "control characters"),
        ({"timeout": "soon"}, "timeout must be a number"),
        ({"timeout": "nan"}, "timeout must be a number"),
        ({"access_key_id": "a"}, "together"),
        ({"session_token": "a"}, "of no use"),
        ({"addressing_style": "odd"}, "addressing_style must be one of auto, path, virtual"),
        ({"region_name": "not a region"}, "refuses this configuration"),
        ({"colour": "red"}, "s3 has no setting colour"),
    ],
)
def test_what_cannot_be_a_configuration_is_refused(wrong: dict[str, str], message: str) -> None:
    with pytest.raises(StoreMisconfigured, match=message):
        open_store("s3", {"bucket": "blobs", **wrong})


def test_credentials_neither_show_nor_make_another_store() -> None:
    config = {"bucket": "b", "endpoint_url": "http://h:1", "prefix": "p"}
    secrets = {"access_key_id": "id", "secret_access_key": "secret", "session_token": "token"}
    shown = mask("s3", {**config, **secrets})
    assert shown["access_key_id"] == "id"
    assert "secret" not in shown.values() and "token" not in shown.values()
    for same in (secrets, {"prefix": "/p/"}, {"endpoint_url": "http://h:1/"}):
        assert identity("s3", {**config, **same}) == identity("s3", config)
    for other in ({"bucket": "c"}, {"endpoint_url": "http://h:2"}, {"prefix": "q"}):
        assert identity("s3", {**config, **other}) != identity("s3", config)
