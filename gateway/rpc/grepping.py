"""Searching files by somebody else's regular expression: in a process of its own, which is ended when it takes long.

A regular expression can be made to take for ever, and Python's hold everything up meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from gateway.rpc.errors import VALIDATION, RpcError

SECONDS = 30.0
MAX_PATTERN = 4096
MAX_ANSWER = 64 * 1024 * 1024

_PROGRAM = r"""
import json, re, sys
read, tell = sys.stdin.buffer.read, sys.stdout.buffer
LINE, SHOWN = 1 << 20, 2000
def say(value):
    text = json.dumps(value).encode()
    tell.write(len(text).to_bytes(4, "big") + text)
    tell.flush()
def chunks():
    while size := int.from_bytes(read(4), "big"):
        yield read(size)
def lines():
    rest = b""
    for chunk in chunks():
        whole = rest + chunk
        cut = whole.rfind(b"\n") + 1
        if not cut and len(whole) > LINE:
            cut = len(whole)
        rest = whole[cut:]
        yield from whole[:cut].splitlines()
    if rest:
        yield from rest.splitlines()
asked = json.loads(read(int.from_bytes(read(4), "big")))
try:
    search = re.compile(asked["pattern"], re.IGNORECASE if asked["ignore_case"] else 0).search
except (re.error, RecursionError, OverflowError) as error:
    say({"error": str(error)})
    sys.exit()
say({})
room = asked["max_results"]
while head := read(4):
    found, binary = [], False
    for number, raw in enumerate(lines(), 1):
        binary = binary or b"\0" in raw
        if binary or len(found) >= room:
            continue
        text = raw.decode("utf-8", "replace")
        if match := search(text):
            found.append([number, text[:SHOWN], match.group(0)[:SHOWN]])
    if binary:
        found = []
    room -= len(found)
    say(found)
"""


class Grep:
    """A search under way: files are fed one after the other; ``results`` grows."""

    def __init__(self, pattern: str, ignore_case: bool, max_results: int) -> None:
        if len(pattern) > MAX_PATTERN:
            raise RpcError(VALIDATION, f"a pattern has at most {MAX_PATTERN} characters")
        self._asked = {"pattern": pattern, "ignore_case": ignore_case, "max_results": max_results}
        self._room = max_results
        self._deadline = time.monotonic() + SECONDS
        self.results: list[dict[str, Any]] = []

    @property
    def full(self) -> bool:
        return len(self.results) >= self._room

    async def __aenter__(self) -> Grep:
        pipe = asyncio.subprocess.PIPE
        # -I -S: nothing of the place it is started in, and nothing installed.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _PROGRAM, stdin=pipe, stdout=pipe, env={}
        )
        try:
            async with asyncio.timeout(self._left()):
                self._write(json.dumps(self._asked).encode())
                told = await self._answer()
        except BaseException as error:
            await self.__aexit__()
            if isinstance(error, TimeoutError):
                raise _too_long() from None
            raise
        if "error" in told:
            await self.__aexit__()
            raise RpcError(VALIDATION, f"bad pattern: {told['error']}")
        return self

    async def feed(self, path: str, body: bytes | AsyncIterator[bytes]) -> None:
        """Search a file. Raises RpcError when the time is up."""
        try:
            async with asyncio.timeout(self._left()):
                self._process.stdin.write(b"file")  # type: ignore[union-attr]
                async for chunk in _chunks(body):
                    self._write(chunk)
                    await self._process.stdin.drain()  # type: ignore[union-attr]
                self._process.stdin.write(bytes(4))  # type: ignore[union-attr]
                found = await self._answer()
        except TimeoutError:
            raise _too_long() from None
        self.results += [
            {"file": path, "line": number, "content": content, "match": match} for number, content, match in found
        ]

    def _left(self) -> float:
        return max(self._deadline - time.monotonic(), 0.0)

    def _write(self, chunk: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(len(chunk).to_bytes(4, "big") + chunk)

    async def _answer(self) -> Any:
        assert self._process.stdout is not None
        size = int.from_bytes(await self._process.stdout.readexactly(4), "big")
        if size > MAX_ANSWER:
            raise RpcError(VALIDATION, "too much matches: search for less")
        return json.loads(await self._process.stdout.readexactly(size))

    async def __aexit__(self, *exc: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


async def _chunks(body: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if not isinstance(body, bytes):
        async for chunk in body:
            yield chunk
    elif body:
        yield body


def _too_long() -> RpcError:
    return RpcError(VALIDATION, f"the search took over {SECONDS:.0f} s: search below a narrower path, or more simply")
