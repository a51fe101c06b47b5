"""A place for each tenant: a mount on a prefix of one shared cloud bucket, and the directories to begin with.

NEXUS_URL=… NEXUS_API_KEY=… python examples/tenants.py nexus-prod-storage acme-corp globex
"""

from __future__ import annotations

import sys

import nexus

DIRECTORIES = ("documents", "uploads", "exports")


def provision(nx: nexus.RemoteNexusFS, tenant: str, bucket: str, project: str = "my-gcp-project") -> str:
    """Make a tenant's place, ``/tenants/<tenant>``; the id of its mount."""
    root = f"/tenants/{tenant}"
    mount_id = nx.mount_manager.add_mount(
        mount_point=root,
        backend_type="gcs",
        backend_config={"bucket": bucket, "prefix": f"tenant-{tenant}/", "project_id": project},
        priority=20,
    )
    for name in DIRECTORIES:
        nx.mkdir(f"{root}/{name}")
    return mount_id


if __name__ == "__main__":
    with nexus.connect() as connected:
        for each in sys.argv[2:]:
            print(f"{each}: {provision(connected, each, sys.argv[1])}")
