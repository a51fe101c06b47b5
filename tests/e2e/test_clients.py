"""Real clients, a fast selection of them; ``python -m conformance.clients`` has more."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.clients.registry import Client, clients
from conformance.clients.stand import Stand
from conformance.clients.tools import NotInstallable
from tests.e2e.harness import Server

FAST = clients(fast=True)


@pytest.mark.parametrize("client", FAST, ids=lambda client: client.name)
def test_a_real_client(server: Server, tmp_path: Path, client: Client) -> None:
    try:
        tool = client.source.get()
    except NotInstallable as missing:
        pytest.skip(f"not installable here: {missing}")
    client.check(Stand(server.port, server.admin.access_key, server.admin.secret_key, tmp_path), tool)
