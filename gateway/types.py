"""Value objects that the core, the catalog and the doors pass to one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from gateway.acl import ENFORCED, Acl
from gateway.encryption import Encryption

T = TypeVar("T")

# Value objects: nothing changes one once it is made. Those that every request for an object makes are not frozen, which
# would make each of them cost five times as much.


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling: a user, the tenant it belongs to and the key it used."""

    user_id: str
    display_name: str
    canonical_id: str
    """64 hex characters, as S3 shows an owner's ID."""
    tenant: str
    is_admin: bool
    key_id: str
    readonly: bool = False
    prefixes: tuple[str, ...] = ()
    """Paths the key is confined to; empty means everything its user may do."""
    grants: Mapping[int, tuple[PathGrant, ...]] = field(default_factory=dict, hash=False)
    """Roles below paths, the user's own and those of its groups, by bucket; under 0 those for all of the tenant's."""
    rate: float | None = None
    """Requests per second that the tenant may make; None is no limit."""

    share: str = field(init=False, compare=False, repr=False)
    """Who this caller is counted with where there is not enough for all.

    A tenant's callers together; but in the tenant that everybody is in until others are made, each user.
    """

    def __post_init__(self) -> None:
        share = f"default/{self.user_id}" if self.tenant == "default" else self.tenant
        object.__setattr__(self, "share", share)


class PathGrant(NamedTuple):
    """A role below a path, to a user or to a group."""

    tenant: str
    bucket_id: int
    """0 is every bucket of the tenant."""
    prefix: str
    """Of keys, by whole segments and without a slash at its end; empty is all of the bucket."""
    kind: str
    """``user`` or ``group``."""
    subject: str
    role: str
    granted_by: str = ""
    created_at: int = 0


class Quota(NamedTuple):
    """What a tenant may use; None is no limit."""

    bytes: int | None
    objects: int | None


class Usage(NamedTuple):
    """What a tenant uses. Bytes are logical: shared content counts for each version that has it."""

    objects: int
    object_bytes: int
    versions: int
    """Those that are not shown any more; delete markers do not count."""
    version_bytes: int
    parts: int
    """Of uploads under way."""
    part_bytes: int

    @property
    def total_bytes(self) -> int:
        return self.object_bytes + self.version_bytes + self.part_bytes

    @property
    def total_objects(self) -> int:
        return self.objects + self.versions


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    created_at: int
    quota: Quota
    rate: float | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class Group:
    """Users of one tenant who are granted something together."""

    id: str
    tenant: str
    created_at: int
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bucket:
    id: int
    name: str
    owner_id: str
    tenant: str
    created_at: int
    """Unix milliseconds, as every time in these types."""
    region: str
    ownership: str = ENFORCED
    """BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter: who owns what is written, and whether ACLs count;
    empty where nobody ever said, which is as ObjectWriter."""
    acl: Acl | None = None
    configs: Mapping[str, str] = field(default_factory=dict)
    """The texts of its configurations by name (``gateway.bucket_configs``)."""
    blocked: bool = False
    """Whether the server blocks public access to all its buckets."""
    quota: Quota | None = None
    """Its tenant's; None where there is no limit."""
    read: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """Those that were read so far."""
    standings: dict[tuple[str | None, str], Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What ``gateway.standing`` worked out so far."""

    def config(self, name: str, read: Callable[[str], T]) -> T | None:
        """A configuration as ``read`` understands its text, None where there is none.

        It is read once per Bucket, which workers keep until the catalog's configuration changes.
        """
        if name not in self.configs:
            return None
        if name not in self.read:
            self.read[name] = read(self.configs[name])
        value: T = self.read[name]
        return value


@dataclass(slots=True, unsafe_hash=True)
class Content:
    """Where the bytes of an object or a part are.

    Empty content has neither digest nor manifest; content of one block has its digest; longer content has
    a manifest, a list of blocks in the catalog.
    """

    store_id: int
    scope: str
    size: int
    digest: str | None = None
    manifest_id: int | None = None

    @property
    def sealed(self) -> bool:
        """Whether its blobs are encrypted: the scopes of those name a domain after a dot, which no tenant has."""
        return "." in self.scope

    def scope_below(self, base: str) -> str:
        """The scope of the same content where another store keeps what is a tenant's under ``base``."""
        return f"{base}.{self.scope.partition('.')[2]}" if self.sealed else base


class Seal(NamedTuple):
    """What is known of an encrypted block besides."""

    plain: str
    """SHA-256 of the block's own bytes; the blob is named by that of what the store holds."""
    key: bytes | None
    """The data key, wrapped. None while a blob that is there already stands for the block."""
    ring_key: int | None
    """What wraps it: a key of the ring, None for a customer's."""
    size: int
    """Of what the store holds."""


class Block(NamedTuple):
    """One block of a content: its place, its size, its blob, and the CRC-64/NVME of its bytes as a signed number."""

    offset: int
    size: int
    digest: str
    crc: int
    seal: Seal | None = None


@dataclass(slots=True, unsafe_hash=True)
class Checksum:
    """A checksum as S3 shows it: CRC32, CRC32C, CRC64NVME, SHA1 or SHA256; base64; FULL_OBJECT or COMPOSITE."""

    algorithm: str
    value: str
    type: str = "FULL_OBJECT"


@dataclass(slots=True, unsafe_hash=True)
class Attributes:
    """What a client says of an object and gets back unchanged."""

    content_type: str = "binary/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    """System headers by S3's member name: CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, Expires,
    WebsiteRedirectLocation."""
    metadata: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps a version from being deleted: retention until a time, a legal hold, or both."""

    mode: str | None = None
    """GOVERNANCE or COMPLIANCE."""
    until: int | None = None
    legal_hold: bool | None = None
    """None where nobody ever said anything of a hold."""


class NativeRef(NamedTuple):
    """Which object of a native store an object is, and in which state it was found (``backends.native``)."""

    store_id: int
    key: str
    """The store's own."""
    state: str


@dataclass(slots=True, unsafe_hash=True)
class ObjectInfo:
    """One version of an object, as the catalog has it; or an object of a native store."""

    bucket_id: int
    key: str
    content: Content
    etag: str
    """Without quotes."""
    modified_at: int
    created_at: int
    owner_id: str
    attributes: Attributes
    checksum: Checksum | None
    version: int
    """1 for the first write of a key, one more for each overwrite: the order of its versions."""
    parts: int = 0
    """How many parts a multipart upload put together; 0 for an object put whole."""
    acl: Acl | None = None
    version_id: str = ""
    """As S3 shows it; empty for the null version."""
    lock: Lock | None = None
    is_marker: bool = False
    """A delete marker: a version that shows nothing."""
    encryption: Encryption | None = None
    native: NativeRef | None = None
    """Where the object lies in a native store: the catalog knows nothing of it then."""

    @property
    def size(self) -> int:
        return self.content.size


@dataclass(frozen=True, slots=True)
class ObjectPart:
    """One part of a completed multipart object."""

    number: int
    offset: int
    size: int
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload under way."""

    id: str
    bucket_id: int
    key: str
    initiated_at: int
    owner_id: str
    store_id: int
    scope: str
    attributes: Attributes
    checksum_algorithm: str | None
    checksum_type: str | None
    acl: Acl | None = None
    lock: Lock | None = None
    encryption: Encryption | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """An uploaded part, not yet completed."""

    number: int
    content: Content
    etag: str
    modified_at: int
    checksum: Checksum | None

    @property
    def size(self) -> int:
        return self.content.size


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A configured backend: where blobs are kept. Mounts point at stores."""

    id: int
    backend_type: str
    config: dict[str, str]
    block_size: int
    dedup_scope: str
    """``tenant`` (each tenant's content apart) or ``store`` (all share)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A prefix of the name space pointed at a store."""

    mount_point: str
    store_id: int
    priority: int
    readonly: bool
    created_at: int
    managed_by: str | None = None
    """The name of the file that declares it; None for what was mounted by hand."""


@dataclass(frozen=True, slots=True)
class User:
    id: str
    display_name: str
    email: str
    canonical_id: str
    tenant: str
    is_admin: bool
    created_at: int
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it may be listed: nothing secret in it."""

    id: str
    """20 upper-case letters and digits; the S3 access key id."""
    user_id: str
    name: str
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    readonly: bool = False
    prefixes: tuple[str, ...] = ()
    last_used_at: int | None = None
    """Within some minutes."""
