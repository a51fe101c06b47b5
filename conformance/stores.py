"""One large object to and from each store behind a network: through the gateway, and by the store's own client in one
stream.

    python -m conformance.stores [STORE …] [--size MIB] [--stream MIB_PER_SECOND] [--latency SECONDS]

Each service is a real one on this machine (see ``tests/services.py``), behind a proxy that gives every connection the
same bandwidth and every request the same delay: that is how clouds behave, and what an emulator next door does not.
``--stream 0`` takes the proxy's limits away. The gateway is sent one PUT and one GET, and is a process of its own whose
memory is watched. Exit code 1 when bytes differ, memory grows, or the gateway is not the faster one.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest

from tests import services
from tests.e2e.harness import Server, free_port
from tests.e2e.test_large import Comparer, Pattern
from tests.faults import Faults, proxy
from tests.tcp_faults import TcpFaults, tcp_proxy

MIB = 1024 * 1024
ALLOWED_GROWTH = 400 * MIB
"""Blocks in memory are bounded by NEXUS_BUFFER_BLOCKS (16 of 8 MiB) each way, each once more while it is sent."""


@dataclass(frozen=True)
class Line:
    """What lies between us and a cloud."""

    latency: float
    bandwidth: float


@dataclass(frozen=True)
class Own:
    """A store's own client, at work in one stream."""

    upload: Callable[[BinaryIO], Any]
    download: Callable[[BinaryIO], Any]


def _relay(url: str, port: int, line: Line, ready: Any) -> None:
    with proxy(url, Faults(latency=line.latency, bandwidth=line.bandwidth), port):
        ready.set()
        threading.Event().wait()


def _relay_tcp(address: str, port: int, line: Line, ready: Any) -> None:
    host, _, upstream = address.rpartition(":")
    with tcp_proxy(host, int(upstream), TcpFaults(latency=line.latency, bandwidth=line.bandwidth), port):
        ready.set()
        threading.Event().wait()


@contextmanager
def shaped(url: str, port: int, line: Line) -> Iterator[str]:
    """A service's address by way of a proxy process."""
    with _relayed(_relay, url, port, line):
        host = url.split("://", 1)[1].split("/", 1)[0]
        yield url.replace(host, f"127.0.0.1:{port}", 1)


@contextmanager
def _relayed(relay: Callable[[str, int, Line, Any], None], address: str, port: int, line: Line) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=relay, args=(address, port, line, ready), daemon=True)
    process.start()
    try:
        if not ready.wait(30):
            raise RuntimeError("the proxy did not start")
        yield
    finally:
        process.kill()
        process.join()


@contextmanager
def s3(folder: Path, line: Line) -> Iterator[tuple[dict[str, str], Own]]:
    with services.versity(folder, build=True) as config, shaped(config["endpoint_url"], free_port(), line) as url:
        client = services.s3_client(url, config["access_key_id"], config["secret_access_key"])

        def download(sink: BinaryIO) -> None:
            for chunk in client.get_object(Bucket="blobs", Key="own")["Body"].iter_chunks(MIB):
                sink.write(chunk)

        own = Own(lambda source: client.put_object(Bucket="blobs", Key="own", Body=source), download)
        yield {**config, "endpoint_url": url}, own


@contextmanager
def gcs(folder: Path, line: Line) -> Iterator[tuple[dict[str, str], Own]]:
    port = free_port()
    # Uploads in one stream are told where to go: through the proxy, too.
    with services.fake_gcs(folder, external=f"http://127.0.0.1:{port}", on_disk=True) as config:
        with shaped(config["endpoint"], port, line) as url:
            blob = services.gcs_client(url).bucket("blobs").blob("own")
            own = Own(
                lambda source: blob.upload_from_file(source, timeout=600),
                lambda sink: blob.download_to_file(sink, timeout=600, checksum=None),
            )
            yield {**config, "endpoint": url}, own


@contextmanager
def azure(folder: Path, line: Line) -> Iterator[tuple[dict[str, str], Own]]:
    with services.azurite(folder, on_disk=True) as config:
        with shaped(config["account_url"], free_port(), line) as url:
            blob = services.azure_client(url).get_blob_client("blobs", "own")
            own = Own(
                lambda source: blob.upload_blob(source, max_concurrency=1),
                lambda sink: blob.download_blob(max_concurrency=1).readinto(sink),
            )
            yield {**config, "account_url": url}, own


@contextmanager
def postgres(folder: Path, line: Line) -> Iterator[tuple[dict[str, str], Own]]:
    """Against a large object, which is how a database's own client keeps as much."""
    port = free_port()
    with services.postgres(folder) as config:
        with _relayed(_relay_tcp, f"{config['host']}:{config['port']}", port, line):
            shown = {**config, "port": str(port)}
            with closing(services.postgres_client(shown)) as client:
                yield shown, Own(lambda source: _to_large_object(client, source), lambda sink: _from_it(client, sink))


def _to_large_object(client: Any, source: BinaryIO) -> None:
    with client.transaction():
        client.execute("SELECT lo_create(1)")
        (writer,) = client.execute("SELECT lo_open(1, 131072)").fetchone()
        while chunk := source.read(8 * MIB):
            client.execute("SELECT lowrite(%s, %s)", (writer, chunk))


def _from_it(client: Any, sink: BinaryIO) -> None:
    with client.transaction():
        (reader,) = client.execute("SELECT lo_open(1, 262144)").fetchone()
        while chunk := client.execute("SELECT loread(%s, %s)", (reader, 8 * MIB), binary=True).fetchone()[0]:
            sink.write(chunk)


CLOUDS = {"s3": s3, "gcs": gcs, "azure": azure, "postgres": postgres}
PLACED: dict[str, dict[str, str]] = {"postgres": {}}
"""What a mount is told besides, where it is not a prefix."""


class Watched:
    """The most memory that a server has resident while the block lasts."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self.most = 0

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.most = max(self.most, self._server.resident())

    def __enter__(self) -> Watched:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def timed(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def body(size: int) -> BinaryIO:
    """A file of that size; buffered, since clients read it in small pieces."""
    return io.BufferedReader(Pattern(size, "store"), MIB)


def checked(size: int, download: Callable[[BinaryIO], object]) -> float:
    """How long a download takes whose every byte is compared."""
    sink = Comparer(Pattern(size, "store"))
    seconds = timed(lambda: download(cast(BinaryIO, sink)))
    if sink.size != size:
        raise AssertionError(f"{sink.size} of {size} bytes came")
    return seconds


def measure(cloud: str, size: int, line: Line, folder: Path) -> bool:
    with ExitStack() as stack:
        config, own = stack.enter_context(CLOUDS[cloud](folder, line))
        server = Server(folder / "gateway")
        server.folder.mkdir()
        server.start()
        stack.callback(server.stop)
        config = {**config, **PLACED.get(cloud, {"prefix": "nexus"})}
        settings = [word for name, value in config.items() for word in ("--config", f"{name}={value}")]
        server.nexus("mounts", "add", "/cloud", cloud, *settings)
        client = server.s3(read_timeout=600)
        client.put_object(Bucket="cloud", Key="warm", Body=b"warm" * 100_000)
        client.get_object(Bucket="cloud", Key="warm")["Body"].read()
        idle = server.resident()

        def download(sink: BinaryIO) -> None:
            for chunk in client.get_object(Bucket="cloud", Key="ours")["Body"].iter_chunks(MIB):
                sink.write(chunk)

        with Watched(server) as up:
            ours_up = timed(lambda: client.put_object(Bucket="cloud", Key="ours", Body=body(size)))
        with Watched(server) as down:
            ours_down = checked(size, download)
        own_up = timed(lambda: own.upload(body(size)))
        own_down = checked(size, own.download)

    for way, ours, theirs, most in (("up", ours_up, own_up, up.most), ("down", ours_down, own_down, down.most)):
        grown = f"memory +{(most - idle) // MIB} MiB"
        print(f"{cloud:6} {way:5} gateway {_rate(size, ours)}   own client {_rate(size, theirs)}   {grown}", flush=True)
    flat = max(up.most, down.most) - idle < ALLOWED_GROWTH
    return flat and (not line.bandwidth or (ours_up < own_up and ours_down < own_down))


def _rate(size: int, seconds: float) -> str:
    return f"{seconds:6.1f} s {size / MIB / seconds:5.0f} MiB/s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clouds", nargs="*", metavar="CLOUD", help="s3, gcs, azure or postgres; all of them by default")
    parser.add_argument("--size", type=int, default=2048, help="MiB of the object (2048)")
    parser.add_argument("--stream", type=float, default=25.0, help="MiB per second of one connection (25); 0: no limit")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds that each request takes longer (0.02)")
    chosen = parser.parse_args()
    unknown = set(chosen.clouds) - set(CLOUDS)
    if unknown:
        parser.error(f"no such cloud: {', '.join(sorted(unknown))}")
    line = Line(chosen.latency if chosen.stream else 0.0, chosen.stream * MIB)
    print(f"{chosen.size} MiB; {chosen.stream:.0f} MiB/s per connection, {line.latency * 1000:.0f} ms per request")
    well = True
    for cloud in chosen.clouds or CLOUDS:
        with tempfile.TemporaryDirectory(prefix="nexus-stores-") as folder:
            try:
                well &= measure(cloud, chosen.size * MIB, line, Path(folder))
            except pytest.skip.Exception as missing:
                print(f"{cloud:6} not measured: {missing}")
                well = False
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
