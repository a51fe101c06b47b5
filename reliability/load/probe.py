"""A client in a process of its own, for whom times are not those of the crowd's: ``python -m reliability.load.probe``.

Reads what to do from its first line of input, goes on until the input ends, and prints the seconds of each request.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from reliability.s3 import S3, Broken

SECONDS = 30.0
PAUSE = 0.05


def main() -> None:
    plan: dict[str, Any] = json.loads(sys.stdin.readline())
    told: list[tuple[float, int]] = []
    over = threading.Event()
    act = _ask if plan["path"] == "/health" else _get
    threads = [threading.Thread(target=act, args=(plan, told, over)) for _ in range(plan["connections"])]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(told))


def _ask(plan: dict[str, Any], told: list[tuple[float, int]], over: threading.Event) -> None:
    """Over a connection of its own each time, as a balancer does."""
    while not over.wait(PAUSE):
        start, status = time.perf_counter(), 0
        connection = http.client.HTTPConnection("127.0.0.1", plan["port"], timeout=SECONDS)
        try:
            connection.request("GET", plan["path"])
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        told.append((time.perf_counter() - start, status))


def _get(plan: dict[str, Any], told: list[tuple[float, int]], over: threading.Event) -> None:
    s3 = S3(plan["port"], plan["access_key"], plan["secret_key"], timeout=SECONDS)
    while not over.wait(PAUSE):
        start, status = time.perf_counter(), 0
        with suppress(Broken):
            status = s3.call("GET", plan["path"]).status
        told.append((time.perf_counter() - start, status))
    s3.close()


if __name__ == "__main__":
    main()
