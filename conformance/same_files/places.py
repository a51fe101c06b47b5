"""Where files lie: the stores, each served in a layout, and what the store's own client sees of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests import services

LAYOUTS = ("cas", "native")


class Direct(Protocol):
    """A place as the store's own client sees it; keys are below the place's prefix."""

    def put(self, key: str, content: bytes) -> None: ...

    def read(self) -> dict[str, bytes]:
        """Every file by its key."""
        ...


@dataclass
class Folder:
    """A directory of this machine."""

    root: Path

    def put(self, key: str, content: bytes) -> None:
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def read(self) -> dict[str, bytes]:
        files = (path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): path.read_bytes() for path in files}


@dataclass
class Gcs:
    """google-cloud-storage."""

    config: Mapping[str, str]

    def __post_init__(self) -> None:
        self._bucket = services.gcs_client(self.config["endpoint"]).bucket(self.config["bucket"])

    def put(self, key: str, content: bytes) -> None:
        self._bucket.blob(f"{self.config['prefix']}/{key}").upload_from_string(content)

    def read(self) -> dict[str, bytes]:
        prefix = f"{self.config['prefix']}/"
        listed = self._bucket.client.list_blobs(self._bucket, prefix=prefix)
        return {blob.name.removeprefix(prefix): blob.download_as_bytes() for blob in listed}


@dataclass
class S3:
    """boto3, to the other service."""

    config: Mapping[str, str]
    _client: Any = field(init=False)

    def __post_init__(self) -> None:
        pair = self.config["access_key_id"], self.config["secret_access_key"]
        self._client = services.s3_client(self.config["endpoint_url"], *pair)

    def put(self, key: str, content: bytes) -> None:
        self._client.put_object(Bucket=self.config["bucket"], Key=f"{self.config['prefix']}/{key}", Body=content)

    def read(self) -> dict[str, bytes]:
        bucket, prefix = self.config["bucket"], f"{self.config['prefix']}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        bodies = (self._client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys)
        return {key.removeprefix(prefix): body for key, body in zip(keys, bodies, strict=True)}


@dataclass
class Azure:
    """azure-storage-blob."""

    config: Mapping[str, str]

    def __post_init__(self) -> None:
        client = services.azure_client(self.config["account_url"])
        self._container = client.get_container_client(self.config["container"])

    def put(self, key: str, content: bytes) -> None:
        self._container.upload_blob(f"{self.config['prefix']}/{key}", content)

    def read(self) -> dict[str, bytes]:
        prefix = f"{self.config['prefix']}/"
        names = [blob.name for blob in self._container.list_blobs(name_starts_with=prefix)]
        return {name.removeprefix(prefix): self._container.download_blob(name).readall() for name in names}


@dataclass(frozen=True)
class Place:
    """A store in a layout: what a mount of it is told, and the store's own client."""

    store: str
    layout: str
    config: dict[str, str]
    direct: Direct

    @property
    def name(self) -> str:
        return f"{self.store}-{self.layout}"

    def own_files(self) -> dict[str, bytes]:
        """What others see there, without what is the gateway's own."""
        return {key: body for key, body in self.direct.read().items() if not key.startswith(".nexus/")}


@contextmanager
def _local(folder: Path) -> Iterator[Callable[[str], tuple[dict[str, str], Direct]]]:
    def at(name: str) -> tuple[dict[str, str], Direct]:
        root = folder / name
        root.mkdir()
        return {"data_dir": str(root)}, Folder(root)

    yield at


def _cloud(service: Callable[[Path], Any], direct: Callable[[Mapping[str, str]], Direct]) -> Callable[[Path], Any]:
    """The places of a service: each a prefix of its own in one bucket."""

    @contextmanager
    def serve(folder: Path) -> Iterator[Callable[[str], tuple[dict[str, str], Direct]]]:
        with service(folder) as base:

            def at(name: str) -> tuple[dict[str, str], Direct]:
                config = {**base, "prefix": f"{name}-{uuid.uuid4().hex[:8]}"}
                return config, direct(config)

            yield at

    return serve


STORES: dict[str, Callable[[Path], Any]] = {
    "local": _local,
    "gcs": _cloud(services.fake_gcs, Gcs),
    "s3": _cloud(lambda folder: services.versity(folder, build=True), S3),
    "azure": _cloud(services.azurite, Azure),
}


@contextmanager
def places(stores: list[str], folder: Path) -> Iterator[list[Place]]:
    """Each of some stores in both layouts; their services end with the block."""
    with ExitStack() as stack:
        found = []
        for store in stores:
            home = folder / store
            home.mkdir()
            at = stack.enter_context(STORES[store](home))
            found += [Place(store, layout, *at(layout)) for layout in LAYOUTS]
        yield found
