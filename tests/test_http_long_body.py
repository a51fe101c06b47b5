"""Long bodies on a real socket: past the parser into pieces, with all else that a connection promises."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from typing import Any

import pytest
import uvloop

from gateway.http import long_body
from gateway.http.connection import Connection
from gateway.http.long_body import PIECE
from tests.test_http_connection import serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    def run(main: Any) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(asyncio.wait_for(main, 20))

    return run


def put(size: int, extra: bytes = b"") -> bytes:
    return b"PUT / HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (extra, size)


class Told:
    """An application that keeps the bodies it is sent, answers with their lengths, and waits where it is to."""

    def __init__(self, *, reads: bool = True) -> None:
        self.pieces: list[list[bytes]] = []
        self.kinds: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.some = asyncio.Event()
        self._reads = reads

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        pieces: list[bytes] = []
        self.pieces.append(pieces)
        message: Any = {"more_body": self._reads}
        while message.get("more_body"):
            message = await receive()
            self.kinds.append(message["type"])
            pieces.append(message.get("body", b""))
            self.some.set()
        await self.may_answer.wait()
        if self.kinds and self.kinds[-1] == "http.disconnect":
            return
        text = b"%d" % sum(map(len, pieces))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    assert b" 200 " in head
    return await reader.readexactly(size)


def test_it_comes_whole_in_pieces_and_what_follows_is_a_request(run: Any) -> None:
    async def main() -> None:
        body, told = os.urandom(3 * PIECE + 12345), Told()
        async with serving(told, []) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(put(len(body)) + body + GET + put(len(body)) + body + GET)
            assert [await answer(reader) for _ in range(4)] == [b"%d" % len(body), b"0"] * 2
            writer.close()
        for pieces in told.pieces[::2]:
            assert b"".join(pieces) == body
            assert [len(piece) for piece in pieces] == [PIECE] * 3 + [12345]

    run(main())


def test_a_head_with_much_or_nothing_of_the_body_makes_no_difference(run: Any) -> None:
    async def main() -> None:
        told = Told()
        async with serving(told, []) as address:
            for size in (long_body.LONG - 1, long_body.LONG, PIECE, PIECE + 1, 2 * PIECE):
                for early in (0, 1, 70_000, size - 1):
                    reader, writer = await asyncio.open_connection(*address)
                    body = os.urandom(size)
                    writer.write(put(size) + body[:early])
                    await asyncio.sleep(0.01)
                    writer.write(body[early:] + GET)
                    assert await answer(reader) == b"%d" % size
                    assert await answer(reader) == b"0"
                    assert b"".join(told.pieces[-2]) == body
                    writer.close()

    run(main())


def test_who_waits_for_leave_gets_it(run: Any) -> None:
    async def main() -> None:
        body = os.urandom(PIECE)
        async with serving(Told(), []) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(put(len(body), b"Expect: 100-continue\r\n"))
            assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(body + GET)
            assert [await answer(reader) for _ in range(2)] == [b"%d" % len(body), b"0"]
            writer.close()

    run(main())


def test_a_body_that_nobody_reads_is_dropped_and_what_follows_answered(run: Any) -> None:
    async def main() -> None:
        body = os.urandom(3 * PIECE)
        async with serving(Told(reads=False), []) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(put(len(body)) + body + GET)
            assert [await answer(reader) for _ in range(2)] == [b"0", b"0"]
            writer.close()

    run(main())


def test_half_a_piece_is_told_after_a_while(run: Any) -> None:
    """An application has deadlines of its own, and a slow client is not to be taken for a silent one."""

    async def main() -> None:
        told = Told()
        async with serving(told, []) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(put(3 * PIECE))
            await asyncio.sleep(0.05)
            writer.write(b"x" * 1000)
            await asyncio.wait_for(told.some.wait(), 5)
            assert told.pieces[0] == [b"x" * 1000]
            writer.write(b"y" * (3 * PIECE - 1000) + GET)
            assert [await answer(reader) for _ in range(2)] == [b"%d" % (3 * PIECE), b"0"]
            assert b"".join(told.pieces[0]) == b"x" * 1000 + b"y" * (3 * PIECE - 1000)
            writer.close()

    run(main())


def test_one_whose_turn_is_to_come_holds_no_memory(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    unset = long_body._unset

    def counted(start: None, size: int) -> bytearray:
        made.append(size)
        return unset(start, size)  # type: ignore[no-any-return]

    monkeypatch.setattr(long_body, "_unset", counted)

    async def main() -> None:
        told, body = Told(), os.urandom(2 * PIECE)
        told.may_answer.clear()
        async with serving(told, []) as address:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(GET + put(len(body)) + body)
            await asyncio.sleep(0.1)
            assert made == []
            told.may_answer.set()
            assert [await answer(reader) for _ in range(2)] == [b"0", b"%d" % len(body)]
            assert made == [PIECE] * 2 and b"".join(told.pieces[1]) == body
            writer.close()

    run(main())


def test_a_client_that_leaves_half_way_is_gone_and_leaves_nothing(run: Any) -> None:
    async def main() -> None:
        told, made = Told(), list[weakref.ref[Connection]]()
        async with serving(told, made) as address:
            _, writer = await asyncio.open_connection(*address)
            writer.write(put(4 * PIECE) + bytes(PIECE + 5))
            await asyncio.wait_for(told.some.wait(), 5)
            writer.transport.abort()
            for _ in range(200):
                if told.kinds[-1] == "http.disconnect" and made[0]() is None:
                    break
                await asyncio.sleep(0.01)
            assert told.kinds == ["http.request", "http.disconnect"] and made[0]() is None

    gc.collect()
    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()
