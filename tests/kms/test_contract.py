"""Every key management service under the same contract."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from gateway.auth.credentials import MasterKey
from gateway.catalog.sqlite import SqliteCatalog
from gateway.errors import KmsDenied, KmsKeyDisabled, KmsKeyInvalid, KmsUnavailable
from gateway.kms.aws import AwsKms
from gateway.kms.base import Kms
from gateway.kms.local import LocalKms
from gateway.kms.vault import VaultKms
from tests.contracts.kms import KmsContract
from tests.kms.vault import KEY, TOKEN, Vault, running_vault

REGION = "us-east-1"


class TestLocal(KmsContract):
    @pytest.fixture
    async def kms(self, tmp_path: Path) -> AsyncIterator[LocalKms]:
        catalog = SqliteCatalog(tmp_path / "catalog.db", fsync=False)
        kms = LocalKms(catalog, MasterKey(secrets.token_bytes(32)), "aws/s3")
        await kms.create("payroll")
        yield kms
        await catalog.close()

    async def test_the_default_key_makes_itself_once(self, kms: LocalKms) -> None:
        assert await kms.resolve("aws/s3") == await kms.resolve("aws/s3") == "aws/s3"
        assert [key.key_id for key in await kms.list()] == ["aws/s3", "payroll"]

    async def test_a_disabled_key_does_nothing_until_it_is_enabled(self, kms: LocalKms) -> None:
        made = await kms.new_key("payroll", {})
        await kms.set_enabled("payroll", False)
        for call in (kms.resolve("payroll"), kms.new_key("payroll", {}), kms.open("payroll", made.sealed, {})):
            with pytest.raises(KmsKeyDisabled):
                await call
        await kms.set_enabled("payroll", True)
        assert await kms.open("payroll", made.sealed, {}) == made.key


class TestVault(KmsContract):
    key = KEY

    @pytest.fixture
    def vault(self) -> Iterator[Vault]:
        with running_vault() as vault:
            yield vault

    @pytest.fixture
    async def kms(self, vault: Vault) -> AsyncIterator[VaultKms]:
        kms = VaultKms(vault.url + "/", TOKEN)
        yield kms
        await kms.close()

    async def test_a_vault_that_is_sealed_or_gone(self, vault: Vault, kms: VaultKms) -> None:
        vault.broken = True
        with pytest.raises(KmsUnavailable):
            await kms.new_key(KEY, {})
        gone = VaultKms("http://127.0.0.1:9", TOKEN)
        with pytest.raises(KmsUnavailable):
            await gone.resolve(KEY)
        await gone.close()

    async def test_a_wrong_token(self, vault: Vault) -> None:
        kms = VaultKms(vault.url, "s.stolen")
        with pytest.raises(KmsDenied):
            await kms.resolve(KEY)
        await kms.close()


class TestAws(KmsContract):
    @pytest.fixture
    def url(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        service = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        service.start()
        yield f"http://127.0.0.1:{service.get_host_and_port()[1]}"
        service.stop()

    @pytest.fixture
    async def kms(self, url: str) -> AsyncIterator[Kms]:
        client = boto3.client("kms", endpoint_url=url, region_name=REGION)
        key = client.create_key()["KeyMetadata"]["KeyId"]
        self.key = f"alias/{uuid.uuid4().hex}"  # what moto keeps is of the whole process
        client.create_alias(AliasName=self.key, TargetKeyId=key)
        kms = AwsKms(REGION, url)
        yield kms
        client.close()
        await kms.close()

    async def test_a_key_that_is_disabled_or_to_be_deleted(self, url: str, kms: AwsKms) -> None:
        client = boto3.client("kms", endpoint_url=url, region_name=REGION)
        arn = await kms.resolve(self.key)
        client.disable_key(KeyId=arn.rpartition("/")[2])
        with pytest.raises(KmsKeyDisabled, match="is disabled"):
            await kms.resolve(arn)
        client.schedule_key_deletion(KeyId=arn.rpartition("/")[2])
        with pytest.raises(KmsKeyInvalid, match="is pending deletion"):
            await kms.resolve(arn)
        client.close()

    async def test_an_endpoint_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        with pytest.raises(KmsUnavailable):
            await AwsKms(REGION, "http://127.0.0.1:9").resolve("x")
