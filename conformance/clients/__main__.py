"""Put real clients to use against a gateway, and print what came of it.

python -m conformance.clients [NAME ...] [--list] [--fast] [--write FILE]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from conformance.clients import table
from conformance.clients.registry import Client, clients
from conformance.clients.stand import ClientFailed, Stand
from conformance.clients.table import FAILED, NOT_INSTALLABLE, PASSED, Outcome
from conformance.clients.tools import NotInstallable
from conformance.gateway import Gateway, running_gateway


def attempt(client: Client, stand: Stand) -> Outcome:
    """One check, from installing the client to its last assertion."""
    version = ""
    start = time.monotonic()
    try:
        tool = client.source.get()
        version, start = tool.version, time.monotonic()
        client.check(stand, tool)
    except NotInstallable as missing:
        return Outcome(client, version, NOT_INSTALLABLE, 0.0, str(missing))
    except ClientFailed as failure:
        return Outcome(client, version, FAILED, time.monotonic() - start, str(failure))
    except Exception:
        return Outcome(client, version, FAILED, time.monotonic() - start, traceback.format_exc())
    return Outcome(client, version, PASSED, time.monotonic() - start, "")


def run(chosen: list[Client], gateway: Gateway) -> list[Outcome]:
    """Every check in a folder and a bucket of its own, each told as it ends."""
    outcomes = []
    for client in chosen:
        with tempfile.TemporaryDirectory(prefix=f"nexus-{client.name}-", ignore_cleanup_errors=True) as folder:
            stand = Stand(gateway.port, gateway.admin.access_key, gateway.admin.secret_key, Path(folder))
            outcomes.append(attempt(client, stand))
        print(table.line(outcomes[-1]), flush=True)
    return outcomes


def intact(gateway: Gateway) -> bool:
    """Whether catalog and store agree on every byte after all that, once the garbage is out."""
    environment = {**os.environ, "NEXUS_URL": gateway.url, "NEXUS_API_KEY": gateway.api_key}
    for words in (["gc", "--grace", "0"], ["fsck", "--rehash"]):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words], capture_output=True, text=True, env=environment
        )
        print(f"nexus {' '.join(words)}: {(done.stdout + done.stderr).strip()}", flush=True)
        if done.returncode:
            return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.clients", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="clients, in this order; all without")
    parser.add_argument("--list", action="store_true", help="show the clients and what is done with each")
    parser.add_argument("--fast", action="store_true", help="those that ./run test has")
    parser.add_argument("--write", metavar="FILE", type=Path, help="write the table as Markdown")
    options = parser.parse_args()
    try:
        chosen = clients(options.names, fast=options.fast)
    except LookupError as error:
        parser.error(str(error.args[0]))
    if options.list:
        print("\n".join(f"{each.name:16} {'fast' if each.fast else '    '}  {each.does}" for each in chosen))
        return 0
    with running_gateway("--s3-domain", "localhost") as gateway:
        outcomes = run(chosen, gateway)
        sound = intact(gateway)
    if options.write:
        options.write.write_text(table.markdown(outcomes, sound))
    failures = [outcome for outcome in outcomes if outcome.result == FAILED]
    print("\n".join(f"\n--- {outcome.client.name}\n{outcome.reason}" for outcome in failures))
    print(table.summary(outcomes))
    return 1 if failures or not sound else 0


if __name__ == "__main__":
    sys.exit(main())
