"""Content on its way to the server: bytes, files and iterables, with somebody watching perhaps."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import BinaryIO

Progress = Callable[[int, int | None], object]
"""Called with the bytes that are through, and with how many there are in all where that is known."""
Content = bytes | bytearray | memoryview | str
Source = Content | BinaryIO | Iterable[bytes]
AsyncSource = Source | AsyncIterable[bytes]

CHUNK = 1024 * 1024


def as_bytes(content: Content) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content)


def size_of(source: AsyncSource) -> int | None:
    """How many bytes a source has from where it stands; None where only reading it tells."""
    if isinstance(source, str):
        return len(source.encode())
    if isinstance(source, bytes | bytearray | memoryview):
        return memoryview(source).nbytes
    try:
        at = source.tell()  # type: ignore[union-attr]
        end = source.seek(0, os.SEEK_END)  # type: ignore[union-attr]
        source.seek(at)  # type: ignore[union-attr]
    except (AttributeError, OSError):
        return None
    return int(end - at)


def chunks_of(source: Source) -> Iterator[bytes]:
    """The bytes of a source, in pieces that fit in memory."""
    if isinstance(source, bytes | bytearray | memoryview | str):
        view = memoryview(as_bytes(source))
        yield from (bytes(view[at : at + CHUNK]) for at in range(0, len(view), CHUNK))
    elif hasattr(source, "read"):
        while chunk := source.read(CHUNK):
            yield chunk
    else:
        yield from source


def watched(source: Source, size: int | None, progress: Progress | None) -> Iterator[bytes]:
    done = 0
    for chunk in chunks_of(source):
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(done, size)


async def watched_async(source: AsyncSource, size: int | None, progress: Progress | None) -> AsyncIterator[bytes]:
    if not isinstance(source, AsyncIterable):
        for chunk in watched(source, size, progress):
            yield chunk
        return
    done = 0
    async for chunk in source:
        yield chunk
        done += len(chunk)
        if progress is not None:
            progress(done, size)
