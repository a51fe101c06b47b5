"""The gateway as it is measured: authorization has a policy and a grant to look at, and every write is synced.

Who sends the requests is neither an admin nor the owner of a bucket. A grant makes them an editor of each; a policy on
each, one statement, denies everybody what lies below ``locked/``. So every request is held against both, and it is the
grant that lets it in.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import Running
from benchmarks.signing import Signer
from nexus import RemoteNexusFS
from tests.e2e.harness import Key, Server

CALLER = "loader"
CATALOG = "catalog.db"
BUCKETS = ("bench", "bench-list", "bench-folders", "bench-huge", "bench-deep")


@contextmanager
def gateway(
    folder: Path, workers: int = 1, environment: Mapping[str, str] | None = None, tree: str = ""
) -> Iterator[Running]:
    """A gateway with its buckets; of another checkout where ``tree`` names one."""
    elsewhere = {"PYTHONPATH": tree, "PYTHONSAFEPATH": "1"} if tree else {}
    server = Server(folder, options=("--workers", str(workers)), environment={**(environment or {}), **elsewhere})
    try:
        server.start()
        assert server.process is not None
        yield Running(
            server.process.pid,
            signer_of(server, let_in(server)),
            _version(tree),
            catalog=server.data_dir / CATALOG,
        )
    finally:
        server.kill()


def let_in(server: Server) -> Key:
    """Make the buckets, and the caller who is let into them."""
    signer = signer_of(server, server.admin)
    with RemoteNexusFS(server.url, server.admin.api_key) as admin:
        admin.call("admin_create_user", user_id=CALLER)
        key = Key.of(admin.call("admin_create_key", user_id=CALLER)["api_key"])
        for bucket in BUCKETS:
            _must(signer, f"/{bucket}", "", b"")
            _must(signer, f"/{bucket}", "policy=", _policy(bucket))
            admin.call("admin_grant", subject=CALLER, role="editor", path=f"/{bucket}")
    return key


def signer_of(server: Server, key: Key) -> Signer:
    return Signer(server.port, key.access_key, key.secret_key)


def _policy(bucket: str) -> bytes:
    statement = {
        "Sid": "NobodyBelowLocked",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/locked/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def _must(signer: Signer, path: str, query: str, body: bytes) -> None:
    status, _, answer = signer.call("PUT", path, query, body)
    if status not in (200, 204):
        raise RuntimeError(f"PUT {path}?{query} answers {status}: {answer[:200]!r}")


def _version(tree: str) -> str:
    """The commit, and whether the files are other than it."""
    words = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(words, cwd=tree or Path(__file__).parent, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"
