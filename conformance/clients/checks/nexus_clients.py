"""The Nexus clients from the package registry, which nobody here wrote."""

from __future__ import annotations

import json
from collections.abc import Callable

from conformance.clients.files import digest
from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Pip, Tool


def _environment(stand: Stand) -> dict[str, str]:
    return {"NEXUS_URL": stand.url, "NEXUS_API_KEY": f"nxk_{stand.access_key}_{stand.secret_key}"}


FS_PYTHON = Pip("nexus-fs-python", "nexus-fs-python")
AI_FS = Pip("nexus-ai-fs", "nexus-ai-fs", program="nexus")


@client("nexus-fs-python", FS_PYTHON, fast=True)
def nexus_fs_python(stand: Stand, tool: Tool) -> None:
    """read, write with conditions, append, batches, ranges, streams, stat, list, glob, grep, directories, rename over
    stores, bulk calls, versions, mounts added and saved, every kind of error, asyncio; S3 sees the same bytes"""
    stand.run_program(tool, "nexus_fs", _environment(stand))


@client("nexus-ai-fs", AI_FS)
def nexus_ai_fs(stand: Stand, tool: Tool) -> None:
    """its own nexus command: write, cat, append, ls, tree, mkdir, cp, move, glob, grep, versions, rm, rmdir; users and
    keys made, listed, told and revoked; S3 sees the same bytes"""
    environment, root = _environment(stand), f"/{stand.make_bucket()}"

    def nexus(*arguments: str) -> str:
        return stand.run(tool, *arguments, environment=environment)

    nexus("write", f"{root}/a.txt", "Hello World")
    stand.holds("a.txt", digest(b"Hello World"))
    stand.s3.put_object(Bucket=stand.bucket, Key="d/b.txt", Body=b"by S3")
    assert "by S3" in nexus("cat", f"{root}/d/b.txt")
    nexus("append", f"{root}/a.txt", "!")
    stand.holds("a.txt", digest(b"Hello World!"))
    assert f"{root}/a.txt" in nexus("ls", root) and "b.txt" in nexus("tree", root)
    nexus("mkdir", f"{root}/e/f", "--parents")
    nexus("cp", f"{root}/a.txt", f"{root}/e/f/c.txt")
    nexus("move", f"{root}/e/f/c.txt", f"{root}/e/f/g.txt", "--force")
    stand.holds("e/f/g.txt", digest(b"Hello World!"))
    assert f"{root}/e/f/g.txt" in nexus("glob", "**/*.txt", root) and "a.txt" in nexus("grep", "Hel+o", root)
    assert "Total versions: 1" in nexus("versions", "history", f"{root}/a.txt")
    stand.s3.put_bucket_versioning(Bucket=stand.bucket, VersioningConfiguration={"Status": "Enabled"})
    nexus("write", f"{root}/v.txt", "one")
    nexus("write", f"{root}/v.txt", "two", "--force")
    words = ("versions", "diff", f"{root}/v.txt", "--v1", "1", "--v2", "2")
    assert "Yes" in nexus(*words, "--mode", "metadata") and "+two" in nexus(*words, "--mode", "content")
    nexus("rm", f"{root}/v.txt", "--force")
    stand.s3.put_bucket_versioning(Bucket=stand.bucket, VersioningConfiguration={"Status": "Suspended"})
    nexus("rm", f"{root}/a.txt", "--force")
    nexus("rmdir", f"{root}/e", "--recursive", "--force")
    assert stand.keys() == ["d/b.txt"]
    _users(stand, nexus)


def _users(stand: Stand, run: Callable[..., str]) -> None:
    user = f"u-{stand.bucket}"
    made = json.loads(run("admin", "create-user", user, "--name", "A user", "--expires-days", "9", "--json-output"))
    assert made["api_key"].startswith("nxk_") and user[:8] in run("admin", "list-users")
    assert made["key_id"] in run("admin", "get-user", "--user-id", user)
    run("admin", "update-key", made["key_id"], "--expires-days", "30")
    run("admin", "revoke-key", made["key_id"])
