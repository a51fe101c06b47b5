"""Backend types by name: how a configuration becomes a store.

A store has a *layout*, which is a setting of it as any other: ``cas`` (the default: blobs by their digests) or
``native`` (the store's own keys; ``backends.native``). A native store keeps what is not yet an object, the parts of
uploads under way, as blobs below ``.nexus/``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from backends.base import BlobStore, StoreError, StoreMisconfigured
from backends.hidden import HIDDEN, Hidden
from backends.lazy import LazyStore
from backends.local import PACK_LIMIT, LocalStore
from backends.local_native import LocalNative
from backends.memory import MemoryStore
from backends.native import NativeStore

log = logging.getLogger("nexus.stores")

MASK = "********"
LAYOUT = "layout"
CAS, NATIVE = "cas", "native"
PLUG_INS = "nexus.backends"
"""The group of entry points by which an installed package offers a backend type."""
METHODS = ("put", "get", "stat", "delete", "scan", "close")
NATIVE_METHODS = ("find", "read", "list", "write", "describe", "delete", "probe", "close")


@dataclass(frozen=True, slots=True)
class BackendType:
    """A kind of store."""

    open: Callable[[Mapping[str, str]], BlobStore]
    """Makes a store of a configuration whose fields are known and complete. Raises StoreMisconfigured."""
    identity: Callable[[Mapping[str, str]], str]
    """A text that is equal for two configurations of one store."""
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    """The fields of its configuration besides the required ones."""
    secret: frozenset[str] = frozenset()
    """Those fields that are never shown."""
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
    return _bytes(config, "pack_limit", PACK_LIMIT)


def _bytes(config: Mapping[str, str], name: str, default: int) -> int:
    value = config.get(name, str(default))
    if not (value.isascii() and value.isdigit()):
        raise StoreMisconfigured(f"{name} must be a number of bytes: {value}")
    return int(value)


def _open_local(config: Mapping[str, str]) -> BlobStore:
    limit, hot = _pack_limit(config), _bytes(config, "hot_bytes", 0)
    return LocalStore(_local_root(config), fsync=_fsync(config), pack_limit=limit, hot_bytes=hot)


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
        optional=frozenset({"fsync", "pack_limit", "hot_bytes"}),
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
        native=True,
    ),
    "gcs": _cloud(
        "gcs",
        required={"bucket"},
        optional={"project_id", "credentials_path", "endpoint"},
        secret=set(),
        native=True,
    ),
    "azure": _cloud(
        "azure",
        required={"container"},
        optional={"account_url"},
        secret={"connection_string", "account_key", "sas"},
        native=True,
    ),
    "webdav": _remote(
        "webdav",
        required={"url"},
        optional={"user", "prefix"},
        secret={"password", "token"},
    ),
    "postgres": _remote(
        "postgres",
        required=set(),
        optional={"host", "port", "dbname", "user", "sslmode", "sslrootcert", "schema", "connections", "fsync"},
        secret={"dsn", "password"},
    ),
}


def find(backend_type: str) -> BackendType:
    """A backend type of ours, or one that an installed package offers. Raises StoreMisconfigured."""
    if backend_type in BUILT_IN:
        return BUILT_IN[backend_type]
    for entry in entry_points(group=PLUG_INS, name=backend_type):
        return _load(entry)
    known = sorted(set(BUILT_IN) | {entry.name for entry in entry_points(group=PLUG_INS)})
    raise StoreMisconfigured(f"unknown backend type {backend_type!r}; there are {', '.join(known)}")


def _load(entry: EntryPoint) -> BackendType:
    """What a package offers. Raises StoreMisconfigured, whatever becomes of its code."""
    where = f"{entry.value} of the package {entry.dist.name if entry.dist is not None else 'that offers it'}"
    try:
        kind = entry.load()
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}"
        raise StoreMisconfigured(f"the backend type {entry.name!r}, {where}, cannot be loaded: {told}") from error
    if not isinstance(kind, BackendType):
        raise StoreMisconfigured(f"the backend type {entry.name!r}, {where}, is no BackendType but {kind!r:.100}")
    return kind


def kinds() -> dict[str, BackendType]:
    """Every backend type there is, by name; what an installed package offers and cannot be loaded is left out."""
    found = dict(BUILT_IN)
    for entry in entry_points(group=PLUG_INS):
        try:
            found.setdefault(entry.name, find(entry.name))
        except StoreMisconfigured as error:
            log.warning("%s", error)
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
    opener = kind.open
    if is_native(config):
        if kind.open_hidden is None:
            raise StoreMisconfigured(f"{backend_type} has no place for the parts of uploads to a native store")
        opener = kind.open_hidden
    with _telling(backend_type):
        store = opener(_usable(kind, config, defaults))
    _check_methods(backend_type, store, METHODS)
    return store


def open_native(
    backend_type: str, config: Mapping[str, str], *, defaults: Mapping[str, str] | None = None
) -> NativeStore | None:
    """Open a store by its own keys, None where its layout is another. Raises StoreMisconfigured."""
    kind = check(backend_type, config)
    if kind.open_native is None or not is_native(config):
        return None
    with _telling(backend_type):
        store = kind.open_native(_usable(kind, config, defaults))
    _check_methods(backend_type, store, NATIVE_METHODS)
    return Hidden(store)


def _check_methods(backend_type: str, store: object, methods: tuple[str, ...]) -> None:
    if missing := [name for name in methods if not callable(getattr(store, name, None))]:
        raise StoreMisconfigured(f"{backend_type} opens something that is no store: it has no {', '.join(missing)}")


def identity(backend_type: str, config: Mapping[str, str]) -> str:
    """A text that is equal for two configurations of the same store. Raises StoreMisconfigured."""
    kind = check(backend_type, config)
    with _telling(backend_type):
        known = f"{backend_type}:{kind.identity(config)}"
    return f"{known}#{NATIVE}" if is_native(config) else known


@contextlib.contextmanager
def _telling(backend_type: str) -> Iterator[None]:
    """What the code of a plug-in raises and should not is told as what it is: a store that cannot be had."""
    try:
        yield
    except Exception as error:
        if isinstance(error, StoreError) or backend_type in BUILT_IN:
            raise
        raise StoreMisconfigured(f"{backend_type} cannot be opened: {type(error).__name__}: {error}") from error


def mask(backend_type: str, config: Mapping[str, str]) -> dict[str, str]:
    """A configuration that may be shown; nothing of it where the package is gone that knows what is secret."""
    try:
        secret = find(backend_type).secret
    except StoreMisconfigured:
        secret = frozenset(config)
    return {name: MASK if name in secret else value for name, value in config.items()}
