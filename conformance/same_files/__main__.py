"""Every client sees the same files on every store, byte for byte.

    python -m conformance.same_files [STORE …] [--clients NAME,…] [--large MIB]

Stores are local, gcs, s3 and azure, each mounted in the layouts cas and native; clients are aws-cli, boto3, rclone,
our own (``import nexus``) and nexus-fs-python. At each place each client writes, overwrites, copies, moves and removes;
then every client lists and reads everything: what the others wrote and, in native ones, what the store's own client had
put there before. At last the store's own client looks at the native places. Exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from conformance.same_files.actors import ACTORS, MIB
from conformance.same_files.places import STORES, places
from conformance.same_files.run import Outcome, visit
from tests.e2e.harness import Server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", help=f"of {', '.join(STORES)}; all by default")
    parser.add_argument("--clients", default=",".join(ACTORS))
    parser.add_argument("--large", type=int, default=17, help="MiB of a large file")
    arguments = parser.parse_args()
    actors = arguments.clients.split(",")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="nexus-same-files-") as name:
        folder = Path(name)
        server = Server(folder / "gateway")
        server.folder.mkdir()
        server.start()
        try:
            with places(arguments.stores or list(STORES), folder) as found:
                for place in found:
                    outcomes += visit(server, place, actors, folder, arguments.large * MIB)
                    told = [each for each in outcomes if each.place == place.name]
                    print(f"{place.name:14} " + "  ".join(_told(outcome) for outcome in told), flush=True)
        finally:
            server.stop()
    for outcome in outcomes:
        for difference in outcome.differences:
            print(f"{outcome.place} {outcome.actor}: {difference}")
    differing = sum(bool(outcome.differences) for outcome in outcomes)
    print(f"{len(outcomes) - differing} alike, {differing} not")
    return 1 if differing else 0


def _told(outcome: Outcome) -> str:
    return f"{outcome.actor}: {f'{len(outcome.differences)} DIFFER' if outcome.differences else 'ok'}"


if __name__ == "__main__":
    sys.exit(main())
