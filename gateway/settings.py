"""Every setting, in one frozen object that is read once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.errors import GatewayError
from gateway.mounts import check_mount_point
from gateway.storage_classes import check_class_name

MIB = 1024 * 1024
GIB = 1024 * MIB


class Settings(BaseSettings):
    """The server's settings; from ``NEXUS_*`` variables where they are not given. Sizes are bytes, times seconds."""

    model_config = SettingsConfigDict(env_prefix="NEXUS_", frozen=True, extra="forbid")

    data_dir: Path = Path("nexus-data")
    host: str = "127.0.0.1"
    port: int = Field(8765, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    region: str = "us-east-1"
    other_regions: tuple[str, ...] = ()
    """More regions that requests may be signed for and buckets may be made in."""
    s3_domains: tuple[str, ...] = ()
    """Domains whose subdomains are buckets (virtual-hosted style)."""
    website_domains: tuple[str, ...] = ()
    """Domains whose subdomains are the websites of buckets."""
    master_key: SecretStr | None = None
    durability: Literal["fsync", "none"] = "fsync"
    default_ownership: Literal["BucketOwnerEnforced", "ObjectWriter"] = "BucketOwnerEnforced"
    """Object ownership of new buckets: ACLs are off and public access is blocked, or they are in force, objects are
    owned by their writers and nothing is blocked."""
    block_public_access: bool = False
    """Whether public access is blocked for every bucket, whatever its own configuration says."""
    default_encryption: Literal["none", "sse-s3"] = "none"
    """How new objects are encrypted where neither the request nor the bucket says."""
    kms: Literal["local", "vault", "aws"] = "local"
    """Who keeps the keys behind SSE-KMS: this server, a Vault, or AWS KMS."""
    kms_url: str = ""
    """Where the Vault is; for AWS, another endpoint than its own."""
    kms_token: SecretStr | None = None
    """The token for the Vault."""
    kms_mount: str = "transit"
    kms_default_key: str | None = None
    """The key for SSE-KMS that names none; unset, ``aws/s3`` where the server keeps the keys, else none."""
    kms_cache: float = Field(300.0, ge=0)
    """Seconds for which a key that the KMS opened is used without asking again."""

    block_size: int = Field(8 * MIB, ge=64 * 1024)
    max_object_size: int = 5 * 1024 * GIB
    max_put_size: int = 5 * GIB
    max_parts: int = 10_000
    min_part_size: int = 5 * MIB
    content_threads: int = Field(8, ge=1)
    buffer_blocks: int = Field(16, ge=1)
    hot_rows: int = Field(8192, ge=0)
    """How many of the catalog's look-ups a worker remembers while nothing changes."""
    hot_bytes: int = Field(32 * MIB, ge=0)
    """Memory of a worker, for each local store, for small blobs that are read again and again."""

    store_deadline: float = Field(10.0, ge=0.1, le=3600)
    """Seconds without a sign of life after which a store is probed, and within which it must answer a probe."""
    head_timeout: float = Field(30.0, gt=0)
    """How long a client may take for a request's headers."""
    idle_timeout: float = Field(75.0, gt=0)
    """How long a connection is kept between requests."""
    body_timeout: float = Field(60.0, gt=0)
    """How long a client may send nothing of a body, and after how long it is held to ``min_body_rate``."""
    min_body_rate: int = Field(1024, ge=1)
    """Bytes a second at which a whole body must come at least."""
    answer_timeout: float = Field(60.0, gt=0)
    """How long a client may take nothing of an answer."""
    max_head_size: int = Field(64 * 1024, ge=8192)
    """Largest line and headers of a request."""
    max_connections: int | None = Field(None, ge=1)
    """Most connections of a worker; unset, as many as its descriptors are enough for."""
    max_requests: int = Field(1024, ge=1)
    """Most requests that a worker has under way."""
    body_memory: int = Field(256 * MIB, ge=8 * MIB)
    """Bytes of memory for long bodies on their way through a worker."""
    body_patience: float = Field(10.0, ge=0)
    """How long a body waits for such memory before its request is refused."""
    write_patience: float = Field(10.0, gt=0)
    """After how long without any write of a worker ending, though some wait, more are refused."""
    shutdown_timeout: int = Field(30, ge=0, le=3600)
    """How long what is under way may take to finish once the server was told to stop."""

    store_hosts: tuple[str, ...] = ()
    """Names, patterns, addresses and networks that stores may be configured to be at; none: anywhere."""
    credentials_dir: Path | None = None
    """The one folder that files of credentials may be in; unset: anywhere."""

    rpc_max_body: int = Field(256 * MIB, ge=1024 * 1024)
    """Largest body of one RPC call, and most bytes of such bodies in the memory of a worker."""

    log_delivery_seconds: float = Field(300.0, gt=0)
    """How often each worker writes the access logs of buckets that keep one."""

    storage_classes: dict[str, str] = {}
    """Mount points by storage class: what is written or moved with the class lies in the store mounted there."""
    lifecycle_interval: float = Field(3600.0, gt=0)
    lifecycle_day_seconds: float = Field(86_400.0, ge=0.001, le=86_400)
    """What the lifecycle worker takes for a day: shorter to see its rules at work. Answers tell calendar days."""

    gc_grace: float = Field(24 * 3600.0, ge=0)
    gc_interval: float = Field(3600.0, gt=0)
    mounts_file: Path | None = None
    """A file that declares mounts, applied when the server starts."""
    metrics: Literal["admin", "open", "off"] = "admin"
    """Who may see ``/metrics``: admins and who has the token, everybody, nobody."""
    metrics_token: SecretStr | None = None
    """A bearer token that opens ``/metrics`` and nothing else."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().resolve()

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region there is, the gateway's own first."""
        return (self.region, *self.other_regions)

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("storage_classes")
    @classmethod
    def _bindings(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            return {check_class_name(name): check_mount_point(point) for name, point in value.items()}
        except GatewayError as error:
            raise ValueError(str(error)) from error

    def master_key_text(self) -> str | None:
        return self.master_key.get_secret_value() if self.master_key else None

    def kms_token_text(self) -> str | None:
        return self.kms_token.get_secret_value() if self.kms_token else None

    def default_kms_key(self) -> str:
        """Empty where there is none."""
        if self.kms_default_key is not None:
            return self.kms_default_key
        return "aws/s3" if self.kms == "local" else ""

    def for_worker(self) -> str:
        """All settings as JSON, for a worker process; secrets travel as every secret of an environment."""
        values = self.model_dump(mode="json", exclude={"master_key", "kms_token", "metrics_token"})
        token = self.metrics_token.get_secret_value() if self.metrics_token else None
        secrets = {"master_key": self.master_key_text(), "kms_token": self.kms_token_text(), "metrics_token": token}
        return json.dumps({**values, **secrets})
