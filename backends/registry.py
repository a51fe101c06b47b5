"""Backend types by name: how a configuration becomes a store.

A store has a *layout*, which is a setting of it as any other: ``cas`` (the default: blobs by their digests) or
``native`` (the store's own keys; ``backends.native``). A native store keeps what is not yet an object, the parts of
uploads under way, as blobs below ``.nexus/``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from backends.base import BlobStore, StoreMisconfigured
from backends.hidden import HIDDEN, Hidden
from backends.lazy import LazyStore
from backends.local import PACK_LIMIT, LocalStore
from backends.local_native import LocalNative
from backends.memory import MemoryStore
from backends.native import NativeStore

MASK = "********"
LAYOUT = "layout"
CAS, NATIVE = "cas", "native"


@dataclass(frozen=True, slots=True)
class BackendType:
    """A kind of store. ``fields`` are its configuration's, ``secret`` those that are never shown."""

    open: Callable[[Mapping[str, str]], BlobStore]
    identity: Callable[[Mapping[str, str]], str]
    """A text that is equal for two configurations of one store."""
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    secret: frozenset[str] = frozenset()
    open_native: Callable[[Mapping[str, str]], NativeStore] | None = None
    """Opens it in the layout ``native``, where it has that. Writes nothing: the mount may be read-only."""
    open_hidden: Callable[[Mapping[str, str]], BlobStore] | None = None
    """Opens the blobs below ``.nexus/`` of such a store; writes nothing before it is asked to keep a blob."""


def _local_root(config: Mapping[str, str]) -> Path:
    root = Path(config["data_dir"]).expanduser()
    if not root.is_absolute():
        raise StoreMisconfigured(f"data_dir must be an absolute path: {config['data_dir']}")
    return root.resolve()


def _fsync(config: Mapping[str, str]) -> bool:
    fsync = config.get("fsync", "true")
    if fsync not in ("true", "false"):
        raise StoreMisconfigured(f"fsync must be true or false: {fsync}")
    return fsync == "true"


def _pack_limit(config: Mapping[str, str]) -> int:
    limit = config.get("pack_limit", str(PACK_LIMIT))
    if not (limit.isascii() and limit.isdigit()):
        raise StoreMisconfigured(f"pack_limit must be a number of bytes: {limit}")
    return int(limit)


def _open_local(config: Mapping[str, str]) -> BlobStore:
    return LocalStore(_local_root(config), fsync=_fsync(config), pack_limit=_pack_limit(config))


def _open_local_hidden(config: Mapping[str, str]) -> BlobStore:
    root, fsync, limit = _local_root(config) / HIDDEN.rstrip("/"), _fsync(config), _pack_limit(config)
    return LazyStore(lambda: LocalStore(root, fsync=fsync, pack_limit=limit), lambda: (root / "packs.db").exists())


def _open_local_native(config: Mapping[str, str]) -> NativeStore:
    _pack_limit(config)
    return LocalNative(_local_root(config), fsync=_fsync(config))


def _cloud(name: str, required: set[str], optional: set[str], secret: set[str], *, native: bool = False) -> BackendType:
    """A store that shares a place with others, by a prefix of its own.

    ``native`` says that its module has ``open_native``.
    """

    def open_native(config: Mapping[str, str]) -> NativeStore:
        store: NativeStore = _module(name).open_native(config)
        return store

    def open_hidden(config: Mapping[str, str]) -> BlobStore:
        return kind.open({**config, "prefix": f"{config.get('prefix', '').strip('/')}/{HIDDEN}".strip("/")})

    kind = _remote(name, required, optional | {"prefix"}, secret)
    return replace(kind, open_native=open_native, open_hidden=open_hidden) if native else kind


def _module(name: str) -> ModuleType:
    try:
        return import_module(f"backends.{name}")
    except ModuleNotFoundError as error:
        raise StoreMisconfigured(
            f"{name} needs the package {error.name}: pip install 'nexus-gateway[{name}]'"
        ) from error


def _remote(name: str, required: set[str], optional: set[str], secret: set[str]) -> BackendType:
    """A store whose module, and the client it needs, is imported when a mount asks for it."""

    def open_cloud(config: Mapping[str, str]) -> BlobStore:
        store: BlobStore = _module(name).open_store(config)
        return store

    def identify(config: Mapping[str, str]) -> str:
        return str(_module(name).identity(config))

    fields = frozenset(optional | secret | {"timeout"})
    return BackendType(open_cloud, identify, frozenset(required), fields, frozenset(secret))


BUILT_IN: dict[str, BackendType] = {
    "local": BackendType(
        open=_open_local,
        identity=lambda config: str(_local_root(config)),
        required=frozenset({"data_dir"}),
        optional=frozenset({"fsync", "pack_limit"}),
        open_native=_open_local_native,
        open_hidden=_open_local_hidden,
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


CONNECTORS = {"gcs_connector": "gcs", "s3_connector": "s3"}
"""Nexus's names for stores whose own keys are the keys."""


def resolve(backend_type: str, config: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A type and configuration as they are kept: Nexus's connectors are a type in the layout ``native``.

    Raises StoreMisconfigured where a connector is asked for another layout.
    """
    if backend_type not in CONNECTORS:
        return backend_type, dict(config)
    if config.get(LAYOUT, NATIVE) != NATIVE:
        raise StoreMisconfigured(f"the layout of {backend_type} is {NATIVE}")
    return CONNECTORS[backend_type], {**config, LAYOUT: NATIVE}


def has_native(backend_type: str) -> bool:
    """Whether stores of a type can be served as they stand. Raises StoreMisconfigured."""
    return find(backend_type).open_native is not None


def is_native(config: Mapping[str, str]) -> bool:
    return config.get(LAYOUT, CAS) == NATIVE


def is_here(backend_type: str) -> bool:
    """Whether stores of a type are part of this machine or process."""
    return backend_type in ("local", "memory")


def check(backend_type: str, config: Mapping[str, str]) -> BackendType:
    """The backend type, once the configuration's fields are known and complete. Raises StoreMisconfigured."""
    kind = find(backend_type)
    unknown = set(config) - kind.required - kind.optional - {LAYOUT}
    if unknown:
        raise StoreMisconfigured(f"{backend_type} has no setting {', '.join(sorted(unknown))}")
    missing = kind.required - set(config)
    if missing:
        raise StoreMisconfigured(f"{backend_type} needs {', '.join(sorted(missing))}")
    layout = config.get(LAYOUT, CAS)
    if layout not in (CAS, NATIVE):
        raise StoreMisconfigured(f"layout is '{CAS}' or '{NATIVE}': {layout}")
    if layout == NATIVE and kind.open_native is None:
        raise StoreMisconfigured(f"{backend_type} has no layout '{NATIVE}': its keys are not those of files or objects")
    return kind


def _usable(kind: BackendType, config: Mapping[str, str], defaults: Mapping[str, str] | None) -> dict[str, str]:
    """What a type's own functions are given: without the layout, which chose the function."""
    usable = {name: value for name, value in (defaults or {}).items() if name in kind.optional}
    return {**usable, **{name: value for name, value in config.items() if name != LAYOUT}}


def open_store(backend_type: str, config: Mapping[str, str], *, defaults: Mapping[str, str] | None = None) -> BlobStore:
    """Open a store for blobs; of a native one, what it keeps below ``.nexus/``.

    ``defaults`` are server-wide settings, used where the type has them and the config does not.
    Raises StoreMisconfigured.
    """
    kind = check(backend_type, config)
    if not is_native(config):
        return kind.open(_usable(kind, config, defaults))
    if kind.open_hidden is None:
        raise StoreMisconfigured(f"{backend_type} has no place for the parts of uploads to a native store")
    return kind.open_hidden(_usable(kind, config, defaults))


def open_native(
    backend_type: str, config: Mapping[str, str], *, defaults: Mapping[str, str] | None = None
) -> NativeStore | None:
    """Open a store by its own keys, None where its layout is another. Raises StoreMisconfigured."""
    kind = check(backend_type, config)
    if kind.open_native is None or not is_native(config):
        return None
    return Hidden(kind.open_native(_usable(kind, config, defaults)))


def identity(backend_type: str, config: Mapping[str, str]) -> str:
    """A text that is equal for two configurations of the same store. Raises StoreMisconfigured."""
    known = f"{backend_type}:{check(backend_type, config).identity(config)}"
    return f"{known}#{NATIVE}" if is_native(config) else known


def mask(backend_type: str, config: Mapping[str, str]) -> dict[str, str]:
    """A configuration that may be shown."""
    secret = find(backend_type).secret
    return {name: MASK if name in secret else value for name, value in config.items()}
