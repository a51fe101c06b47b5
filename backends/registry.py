"""Backend types by name: how a configuration becomes a store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from backends.base import BlobStore, StoreMisconfigured
from backends.local import PACK_LIMIT, LocalStore
from backends.memory import MemoryStore

MASK = "********"


@dataclass(frozen=True, slots=True)
class BackendType:
    """A kind of store. ``fields`` are its configuration's, ``secret`` those that are never shown."""

    open: Callable[[Mapping[str, str]], BlobStore]
    identity: Callable[[Mapping[str, str]], str]
    """A text that is equal for two configurations of one store."""
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()


def _local_root(config: Mapping[str, str]) -> Path:
    root = Path(config["data_dir"]).expanduser()
    if not root.is_absolute():
        raise StoreMisconfigured(f"data_dir must be an absolute path: {config['data_dir']}")
    return root.resolve()


def _open_local(config: Mapping[str, str]) -> BlobStore:
    limit = config.get("pack_limit", str(PACK_LIMIT))
    if not (limit.isascii() and limit.isdigit()):
        raise StoreMisconfigured(f"pack_limit must be a number of bytes: {limit}")
    fsync = config.get("fsync", "true")
    if fsync not in ("true", "false"):
        raise StoreMisconfigured(f"fsync must be true or false: {fsync}")
    return LocalStore(_local_root(config), fsync=fsync == "true", pack_limit=int(limit))


def _cloud(name: str, required: set[str], optional: set[str], secret: set[str]) -> BackendType:
    """A store that shares a place with others, by a prefix of its own."""
    return _remote(name, required, optional | {"prefix"}, secret)


def _remote(name: str, required: set[str], optional: set[str], secret: set[str]) -> BackendType:
    """A store whose module, and the client it needs, is imported when a mount asks for it."""

    def module() -> ModuleType:
        try:
            return import_module(f"backends.{name}")
        except ModuleNotFoundError as error:
            raise StoreMisconfigured(
                f"{name} needs the package {error.name}: pip install 'nexus-gateway[{name}]'"
            ) from error

    def open_cloud(config: Mapping[str, str]) -> BlobStore:
        store: BlobStore = module().open_store(config)
        return store

    def identify(config: Mapping[str, str]) -> str:
        return str(module().identity(config))

    fields = frozenset(optional | secret | {"timeout"})
    return BackendType(open_cloud, identify, frozenset(required), fields, frozenset(secret))


BUILT_IN: dict[str, BackendType] = {
    "local": BackendType(
        open=_open_local,
        identity=lambda config: str(_local_root(config)),
        required=frozenset({"data_dir"}),
        optional=frozenset({"fsync", "pack_limit"}),
    ),
    "memory": BackendType(
        open=lambda config: MemoryStore(),
        identity=lambda config: config["name"],
        required=frozenset({"name"}),
    ),
    "s3": _cloud(
        "s3",
        required={"bucket"},
        optional={"endpoint_url", "region_name", "access_key_id", "addressing_style"},
        secret={"secret_access_key", "session_token"},
    ),
    "gcs": _cloud(
        "gcs",
        required={"bucket"},
        optional={"project_id", "credentials_path", "endpoint"},
        secret=set(),
    ),
    "azure": _cloud(
        "azure",
        required={"container"},
        optional={"account_url"},
        secret={"connection_string", "account_key", "sas"},
    ),
    "postgres": _remote(
        "postgres",
        required=set(),
        optional={"host", "port", "dbname", "user", "sslmode", "sslrootcert", "schema", "connections", "fsync"},
        secret={"dsn", "password"},
    ),
}


def find(backend_type: str) -> BackendType:
    """A backend type of ours, or one that an installed package offers as ``nexus.backends``."""
    if backend_type in BUILT_IN:
        return BUILT_IN[backend_type]
    for entry in entry_points(group="nexus.backends", name=backend_type):
        kind = entry.load()
        if isinstance(kind, BackendType):
            return kind
    known = sorted(set(BUILT_IN) | {entry.name for entry in entry_points(group="nexus.backends")})
    raise StoreMisconfigured(f"unknown backend type {backend_type!r}; there are {', '.join(known)}")


def kinds() -> dict[str, BackendType]:
    """Every backend type there is, by name; what an installed package offers and cannot be loaded is left out."""
    found = dict(BUILT_IN)
    for entry in entry_points(group="nexus.backends"):
        with contextlib.suppress(StoreMisconfigured, ImportError, AttributeError):
            found.setdefault(entry.name, find(entry.name))
    return dict(sorted(found.items()))


def check(backend_type: str, config: Mapping[str, str]) -> BackendType:
    """The backend type, once the configuration's fields are known and complete. Raises StoreMisconfigured."""
    kind = find(backend_type)
    unknown = set(config) - kind.required - kind.optional
    if unknown:
        raise StoreMisconfigured(f"{backend_type} has no setting {', '.join(sorted(unknown))}")
    missing = kind.required - set(config)
    if missing:
        raise StoreMisconfigured(f"{backend_type} needs {', '.join(sorted(missing))}")
    return kind


def open_store(backend_type: str, config: Mapping[str, str], *, defaults: Mapping[str, str] | None = None) -> BlobStore:
    """Open a store. ``defaults`` are server-wide settings, used where the type has them and the config does not.

    Raises StoreMisconfigured.
    """
    kind = check(backend_type, config)
    usable = {name: value for name, value in (defaults or {}).items() if name in kind.optional}
    return kind.open({**usable, **config})


def identity(backend_type: str, config: Mapping[str, str]) -> str:
    """A text that is equal for two configurations of the same store. Raises StoreMisconfigured."""
    return f"{backend_type}:{check(backend_type, config).identity(config)}"


def mask(backend_type: str, config: Mapping[str, str]) -> dict[str, str]:
    """A configuration that may be shown."""
    secret = find(backend_type).secret
    return {name: MASK if name in secret else value for name, value in config.items()}
