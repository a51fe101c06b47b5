"""The contract of a native store: a bucket or a directory as it stands, whose own keys are the keys.

Other people write to it as well, by other ways than ours. So nothing about it is remembered: each answer is the
store's own, and what depends on an earlier one names the *state* that it saw. A state is what the store tells one
write of a key from the next by (S3's ETag, GCS's generation, Azure's ETag, a file's inode, size and time); it means
nothing to anybody else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from backends.base import ByteRange, StoreError


@dataclass(frozen=True, slots=True)
class NativeEntry:
    """An object as a listing shows it."""

    key: str
    size: int
    etag: str
    """As S3 clients see it, without quotes: the MD5 in hex where the store knows it, else something with a dash in it,
    which no client takes for one."""
    modified_at: int
    """Unix milliseconds."""
    state: str


@dataclass(frozen=True, slots=True)
class NativeAttributes:
    """What a client says of an object and gets back unchanged."""

    content_type: str = "binary/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    """By S3's member names: CacheControl, ContentDisposition, ContentEncoding, ContentLanguage, Expires."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NativeObject:
    """An object and what is said of it."""

    entry: NativeEntry
    attributes: NativeAttributes


@dataclass(frozen=True, slots=True)
class NativePage:
    """Part of a listing: objects and common prefixes, each in the order of their UTF-8 bytes.

    ``last`` is the key or common prefix that the next page comes after, empty on the last page.
    """

    entries: list[NativeEntry]
    prefixes: list[str]
    last: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be under a key for a write: nothing (``absent``), one ``state``, or, with neither, anything."""

    absent: bool = False
    state: str | None = None


ANYTHING = Expected()
ABSENT = Expected(absent=True)


class StateChanged(StoreError):
    """Under a key is not what was expected there: somebody was faster. Nothing was written."""

    permanent = True


class KeyRefused(StoreError):
    """A store cannot hold a key or an attribute that S3 would allow: says which and why."""

    permanent = True


class NativeStore(Protocol):
    """Objects by the store's own keys, relative to its prefix or directory. Safe to call concurrently.

    Besides what each raises: StoreUnavailable for what may pass, StoreMisconfigured, StoreFull, StoreRefused. Reads are
    repeated on failures that may pass, with the deadlines of all stores; a write is repeated only where its outcome
    can be told. Cancelling leaves nothing or the whole, never part of an object.
    """

    async def find(self, key: str) -> NativeObject | None:
        """An object, None when there is none."""

    def read(self, key: str, span: ByteRange, state: str) -> AsyncIterator[bytes]:
        """The bytes ``[start, stop)`` of an object in a state, in chunks of at most 1 MiB.

        Raises StateChanged before the first chunk when it is in another or gone; later, where it changes meanwhile,
        rather than mix two.
        """

    async def list(self, prefix: str, delimiter: str, after: str, limit: int) -> NativePage:
        """Keys that begin with ``prefix`` and come after ``after``, at most ``limit`` keys and common prefixes.

        ``delimiter`` is empty or a text; a common prefix that is ``after``, or before it, is not told again.
        """

    async def write(
        self, key: str, body: AsyncIterator[bytes], attributes: NativeAttributes, expected: Expected = ANYTHING
    ) -> NativeObject:
        """Store a body of any length, in flat memory; visible, whole and durable, no earlier than its iterator ended.

        What the iterator raises is raised here, and nothing is stored then. Raises StateChanged, KeyRefused.
        """

    async def describe(self, key: str, attributes: NativeAttributes, state: str) -> NativeObject:
        """Replace what is said of an object; its bytes stay. Raises StateChanged, KeyRefused."""

    async def delete(self, key: str, state: str | None = None) -> None:
        """Remove an object, or only one in that state (else StateChanged). Absence is success."""

    async def probe(self) -> None:
        """As ``backends.base.Probing``."""

    async def close(self) -> None: ...
