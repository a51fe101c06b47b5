"""The services that cloud stores are tested against: started once, where a test asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import services
from tests.e2e.harness import Server

pytest.register_assert_rewrite("backends.testing")


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services.moto(tmp_path_factory.mktemp("moto")) as config:
        yield config


@pytest.fixture(scope="session")
def other_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, dict[str, str]]]:
    with services.gateway(tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest.fixture(scope="session")
def versity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services.versity(tmp_path_factory.mktemp("versity")) as config:
        yield config


@pytest.fixture(scope="session")
def fake_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services.fake_gcs(tmp_path_factory.mktemp("gcs")) as config:
        yield config


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services.azurite(tmp_path_factory.mktemp("azurite")) as config:
        yield config


@pytest.fixture(scope="session")
def webdav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services.webdav(tmp_path_factory.mktemp("webdav")) as config:
        yield config


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with services.postgres(tmp_path_factory.mktemp("postgres")) as config:
        yield config
