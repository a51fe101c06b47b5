"""Clients in a process of their own, for whom times are not those of the crowd's: ``python -m reliability.load.probe``.

Reads what to do from its first line of input, goes on until the input ends, and prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from random import Random

from reliability.bodies import body_of
from reliability.s3 import S3, Broken

SECONDS = 30.0
PAUSE = 0.05
SIZES = (100, 4096, 4096, 200_000)
REFUSED_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Task:
    """What a probe does: asks for health, or, with a bucket, puts objects and reads each of them."""

    port: int
    connections: int = 1
    bucket: str = ""
    prefix: str = ""
    access_key: str = ""
    secret_key: str = ""


@dataclass
class Seen:
    requests: list[tuple[float, int]] = field(default_factory=list)
    """Seconds and status of each; 0 where the connection broke."""
    written: list[tuple[str, int]] = field(default_factory=list)
    """Name, which is also the body's seed, and size of what was acknowledged."""
    problems: list[str] = field(default_factory=list)


@asynccontextmanager
async def probing(task: Task, seen: Seen) -> AsyncIterator[None]:
    """Such a process meanwhile; what it saw is added to ``seen``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
        yield
        out, _ = await asyncio.wait_for(process.communicate(b""), 4 * SECONDS)
        told = json.loads(out)
        seen.requests += [(seconds, status) for seconds, status in told["requests"]]
        seen.written += [(name, size) for name, size in told["written"]]
        seen.problems += told["problems"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main() -> None:
    task = Task(**json.loads(sys.stdin.readline()))
    seen, over = Seen(), threading.Event()
    act = _work if task.bucket else _ask
    threads = [threading.Thread(target=act, args=(task, number, seen, over)) for number in range(task.connections)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(asdict(seen)))


def _ask(task: Task, number: int, seen: Seen, over: threading.Event) -> None:
    """Over a connection of its own each time, as a balancer does."""
    while not over.wait(PAUSE):
        start, status = time.perf_counter(), 0
        connection = http.client.HTTPConnection("127.0.0.1", task.port, timeout=SECONDS)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        seen.requests.append((time.perf_counter() - start, status))


def _work(task: Task, number: int, seen: Seen, over: threading.Event) -> None:
    s3, dice = S3(task.port, task.access_key, task.secret_key, timeout=SECONDS), Random(number)
    count = 0
    while not over.wait(PAUSE):
        count += 1
        name, size = f"{task.prefix}/{number}/{count}", dice.choice(SIZES)
        if _timed(s3, "PUT", task, name, body_of(name, size), seen) is None:
            over.wait(REFUSED_PAUSE)
            continue
        seen.written.append((name, size))
        content = _timed(s3, "GET", task, name, b"", seen)
        if content is not None and content != body_of(name, size):
            seen.problems.append(f"{name}: {len(content)} bytes that are not the {size} which were put")
    s3.close()


def _timed(s3: S3, method: str, task: Task, name: str, body: bytes, seen: Seen) -> bytes | None:
    """The answer's body; None where it was refused, or there was none."""
    start, status, content = time.perf_counter(), 0, None
    try:
        answer = s3.call(method, f"/{task.bucket}/{name}", body=body)
        status, content = answer.status, answer.body if answer.ok else None
    except Broken:
        pass
    seen.requests.append((time.perf_counter() - start, status))
    return content


if __name__ == "__main__":
    main()
