"""Who may import whom: the arrows of the architecture, read from the code itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("gateway/**/*.py"), *ROOT.glob("backends/**/*.py"), *ROOT.glob("nexus/**/*.py")])
DOORS = ("gateway.s3", "gateway.rpc")
ABOVE = {f"gateway/{name}.py" for name in ("__main__", "app", "serve", "supervisor", "embedded", "recovery")}
"""What puts the parts together and runs them. Every other module of the gateway is core, unless it is a door."""
PROCESS = (*(name.removesuffix(".py").replace("/", ".") for name in sorted(ABOVE)), "gateway.cli", "gateway.http")
COMPOSITION = {"gateway/app.py"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_core(name: str) -> bool:
    return (
        name.startswith("gateway/")
        and not name.startswith(("gateway/s3/", "gateway/rpc/", "gateway/http/", "gateway/cli/"))
        and name not in ABOVE
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    name, found = name_of(path), set(imports(path))

    def uses(*modules: str) -> set[str]:
        below = tuple(f"{module.removesuffix('.')}." for module in modules)
        return {each for each in found if each in modules or each.startswith(below)}

    if name.startswith("backends/"):
        assert not uses("gateway", "nexus"), "a store knows nothing above it"
    if name.startswith("nexus/"):
        assert not uses("gateway", "backends", "boto3", "botocore", "starlette", "sqlite3"), (
            "the client installs without the server"
        )
    if name.startswith("gateway/s3/"):
        assert not uses("gateway.rpc", "sqlite3", "gateway.catalog.sqlite"), "doors do not know each other, nor SQL"
    if name.startswith("gateway/rpc/"):
        assert not uses("gateway.s3", "sqlite3", "gateway.catalog.sqlite"), "doors do not know each other, nor SQL"
    if name.startswith(("gateway/s3/", "gateway/rpc/")):
        assert not uses(*PROCESS, "uvicorn"), "a door does not know who runs it"
    if is_core(name):
        assert not uses(*DOORS, *PROCESS, "starlette", "uvicorn", "typer"), "the core knows no door"
    if name.startswith("gateway/http/"):
        assert not {each for each in uses("gateway") if not each.startswith("gateway.http")}, "HTTP knows no gateway"
    if name not in COMPOSITION and not name.startswith("gateway/cli"):
        assert not {
            each for each in uses("backends.") if not each.startswith(("backends.base", "backends.native"))
        } or name.startswith("backends/"), "only the composition root names stores"
        assert name.startswith("gateway/catalog/") or not uses("gateway.catalog.sqlite"), "nor engines"
    if name not in ("gateway/s3/model.py", "gateway/kms/aws.py", "backends/s3_client.py"):
        assert not uses("botocore") or name.startswith("gateway/cli"), "one reader of the service model"
