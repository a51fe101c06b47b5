"""dvc: data versioned beside code, its content in the bucket by hash."""

from __future__ import annotations

import shutil

from conformance.clients.files import BIG, digests, noise, plant
from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Pip, Tool


@client("dvc", Pip("dvc", "dvc", "dvc"))
def dvc(stand: Stand, tool: Tool) -> None:
    """add of a tree and a big file, push, status --cloud, pull of two versions into copies of the project that have no
    cache, gc --cloud."""
    stand.make_bucket()
    project, clone = stand.folder / "project", stand.folder / "clone"
    project.mkdir()
    quiet = {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(stand.folder / "site")}

    def run(*arguments: str, cwd: object = project) -> str:
        return stand.run(tool, *arguments, cwd=cwd, environment=quiet)

    run("init", "--no-scm", "--quiet")
    run("remote", "add", "--default", "store", f"s3://{stand.bucket}/dvc store")
    run("remote", "modify", "store", "endpointurl", stand.url)
    states = []
    for number in range(2):
        plant(project / "data" / f"round {number}")
        (project / "data" / "big").write_bytes(noise(BIG, number))
        states.append(digests(project / "data"))
        run("add", "--quiet", "data")
        run("push", "--quiet")
        shutil.copy(project / "data.dvc", stand.folder / f"data.dvc.{number}")
    assert "in sync" in run("status", "--cloud")
    for number, state in enumerate(states):
        shutil.rmtree(clone, ignore_errors=True)
        shutil.copytree(project / ".dvc", clone / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
        shutil.copy(stand.folder / f"data.dvc.{number}", clone / "data.dvc")
        run("pull", "--quiet", cwd=clone)
        assert digests(clone / "data") == state
    before = len(stand.keys())
    run("gc", "--workspace", "--cloud", "--force", "--quiet")
    assert len(stand.keys()) < before
    shutil.rmtree(project / ".dvc" / "cache")
    shutil.rmtree(project / "data")
    run("pull", "--quiet")
    assert digests(project / "data") == states[1]
