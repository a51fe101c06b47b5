"""The contract of a blob store: immutable bytes named by their SHA-256.

A store keeps *blobs*. A blob's name is a scope (whose content it is: a tenant id, so that
tenants never share bytes unless a store is told to) and a digest that the gateway computed
itself. A name therefore never comes from a client, and the same name always means the same
bytes. This is why every method is idempotent and why a put may be repeated.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

DEFAULT_SCOPE = "default"


class BlobName(NamedTuple):
    """Where a blob lives in a store: ``scope`` (whose it is: a tenant id, and a domain of encryption where it is
    encrypted) and ``digest`` (SHA-256 of what the store holds, 64 lower-case hex)."""

    scope: str
    digest: str


class ByteRange(NamedTuple):
    """Half-open range of bytes ``[start, stop)`` within one blob."""

    start: int
    stop: int


_SCOPE = re.compile(r"(?!\.+\Z)[a-z0-9._-]{1,128}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Blob:
    """What a store knows of one blob: its name, its size in bytes, and when it was stored (Unix seconds)."""

    name: BlobName
    size: int
    stored_at: float


class StoreError(Exception):
    """A store could not do what it was asked. ``permanent`` says that trying again will not help."""

    permanent = False


class BlobNotFound(StoreError):
    """The store holds no blob of that name."""

    permanent = True

    def __init__(self, name: BlobName) -> None:
        super().__init__(f"no blob {name.digest} in scope {name.scope}")
        self.name = name


class BlobDamaged(StoreError):
    """The bytes under a name are not the bytes that the name promises."""

    permanent = True

    def __init__(self, name: BlobName, reason: str) -> None:
        super().__init__(f"blob {name.digest} in scope {name.scope} is damaged: {reason}")
        self.name = name


class StoreFull(StoreError):
    """There is no room for another blob; reads and deletes still work."""


class StoreUnavailable(StoreError):
    """A store behind a network did not answer, answered nonsense, or asked for patience. Another attempt may help.

    ``retry_after`` is how many seconds it asked to be left alone for, 0 when it did not say.
    """

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class StoreRefused(StoreError):
    """A store understood a request and will not do it, now or later."""

    permanent = True


class StoreMisconfigured(StoreError):
    """The configuration of a store is not usable: an unknown field, a missing directory, wrong credentials."""

    permanent = True


def check_name(name: BlobName) -> None:
    """Raise StoreError for what is no name: names become paths, and nothing but a tenant's id and a digest may."""
    if not _SCOPE.fullmatch(name.scope) or not _DIGEST.fullmatch(name.digest):
        raise StoreError(f"not the name of a blob: {name!r}")


class BlobStore(Protocol):
    """Immutable bytes by name. Every method is idempotent and safe to call concurrently.

    Durability: when ``put`` (or ``Stage.publish``) returns, the bytes survive a power cut, unless the
    store was configured otherwise. Cancelling any method leaves either nothing or the whole blob.
    """

    async def put(self, name: BlobName, content: bytes) -> None:
        """Keep ``content`` under ``name``; a blob that is there already is left as it is, undamaged ones at least.

        The caller vouches that the SHA-256 of ``content`` is ``name.digest``. Raises StoreFull or StoreError.
        """

    def get(self, name: BlobName, span: ByteRange | None = None) -> AsyncIterator[bytes]:
        """The bytes of a blob, or of a span that lies within it, in chunks of at most 1 MiB.

        Raises BlobNotFound before the first chunk, BlobDamaged when the blob is shorter than ``span.stop``.
        """

    async def stat(self, name: BlobName) -> Blob | None:
        """What is known of a blob, or None when it is absent."""

    async def delete(self, name: BlobName) -> None:
        """Forget a blob. Absence is not an error; durable no later than the next ``put``."""

    def scan(self) -> AsyncIterator[Blob]:
        """Every blob of every scope, in no promised order. Blobs that come or go meanwhile may be missed."""

    async def close(self) -> None:
        """Release files, threads and connections; the store is not used afterwards."""


class Stage(Protocol):
    """One blob on its way into a store. Nothing can be read from it until it is published.

    ``write`` blocks and is called from a worker thread, by one thread at a time; the rest is async.
    """

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes. Raises StoreFull when there is no room."""

    async def publish(self, name: BlobName) -> None:
        """Make the written bytes durable under ``name`` and end the stage; as idempotent as ``put``."""

    async def discard(self) -> None:
        """Drop the written bytes and end the stage; harmless after ``publish``."""


@runtime_checkable
class StreamingWrites(Protocol):
    """A store that takes a blob piece by piece, before its digest is known."""

    def stage(self) -> Stage:
        """A new, empty stage. Does no I/O."""


@runtime_checkable
class InlineReads(Protocol):
    """A store that can hand out small blobs at once, fast enough for the event loop."""

    inline_limit: int
    """Blobs of at most this many bytes may be asked for inline."""

    def read_inline(self, name: BlobName) -> bytes | None:
        """The whole verified blob, or None when it cannot be had inline (then use ``get``).

        Raises BlobDamaged when the bytes do not match the digest.
        """


@runtime_checkable
class GroupedWrites(Protocol):
    """A store that keeps many small blobs with one sync."""

    group_limit: int
    """Blobs of at most this many bytes may be put in a group."""
    device: int
    """The device it writes to (``st_dev``): others wait for a group, so it should be one they depend on anyway."""

    def put_group(self, blobs: Sequence[tuple[BlobName, bytes]]) -> None:
        """Keep blobs as ``put`` does, all durable on return. Blocks; called from a worker thread.

        Raises StoreFull or StoreError, and then promises nothing of any of them.
        """


@runtime_checkable
class Remote(Protocol):
    """A store behind a network: a request waits long, and several at once wait no longer than one."""

    parallel: int
    """How many blocks of one body are best under way at once."""


@runtime_checkable
class Probing(Protocol):
    """A store that can tell whether it is well."""

    async def probe(self) -> None:
        """Ask the service for the least that shows it answers, knows us and has the bucket. Tries once.

        Raises StoreMisconfigured or StoreUnavailable with a sentence that tells what to do.
        """


async def read_all(store: BlobStore, name: BlobName) -> bytes:
    """The whole blob in memory; for blobs known to be small."""
    return b"".join([chunk async for chunk in store.get(name)])


_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
"""Where clouds tell machines about themselves, besides link-local addresses."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_forbidden(address: str) -> bool:
    """Whether no store is to be looked for at an IP address: where a cloud hands a machine its credentials."""
    found: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        found = inner or found
    return found.is_link_local or found in _METADATA
