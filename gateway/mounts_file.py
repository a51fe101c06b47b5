"""The file that declares mounts: TOML in, values out, or one clear error that names the line and the field.

[[mount]]
point = "/archives"
type = "s3"
priority = 10
[mount.config]
bucket = "my-archives"
secret_access_key = {file = "/run/secrets/s3"}
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.errors import BadMount
from gateway.mounts import check_mount_point
from gateway.secret_values import BadSecret, from_environment, from_file

LAYOUTS = ("cas", "native")
SCOPES = ("tenant", "store")
_KINDS: dict[str, type] = {
    "point": str,
    "type": str,
    "config": dict,
    "priority": int,
    "readonly": bool,
    "layout": str,
    "dedup_scope": str,
}
_HEADER = re.compile(r"^[ \t]*\[\[\s*mount\s*\]\]", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Declared:
    """A mount as it shall be. ``where`` names it in errors; ``config`` has the layout in it, where one is declared."""

    where: str
    mount_point: str
    backend_type: str
    config: Mapping[str, str]
    priority: int = 0
    readonly: bool = False
    dedup_scope: str | None = None


@dataclass(frozen=True, slots=True)
class MountsFile:
    """Everything that a file declares. ``name`` is by what the mounts are known that it made."""

    name: str
    mounts: tuple[Declared, ...]

    def dump(self) -> list[dict[str, Any]]:
        """As a call to a server carries it."""
        return [
            {
                "where": each.where,
                "point": each.mount_point,
                "type": each.backend_type,
                "config": dict(each.config),
                "priority": each.priority,
                "readonly": each.readonly,
                "dedup_scope": each.dedup_scope,
            }
            for each in self.mounts
        ]


def read(path: Path) -> MountsFile:
    """Raises BadMount, whose message begins with the file and the line."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadMount(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadMount(f"{path}: {error}") from None
    name = document.pop("name", path.stem)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadMount(f"{path}: name has 1 to 128 letters, digits and . _ -: {name!r}")
    tables = document.pop("mount", [])
    if document:
        raise BadMount(f"{path}: unknown: {', '.join(sorted(document))}; there are 'name' and [[mount]]")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise BadMount(f"{path}: a mount begins with [[mount]]")
    lines = [text.count("\n", 0, found.start()) + 1 for found in _HEADER.finditer(text)]
    mounts = []
    for number, table in enumerate(tables):
        line = f"line {lines[number]}" if len(lines) == len(tables) else f"mount {number + 1}"
        mounts.append(_mount(table, f"{path}, {line}", path.parent))
    return MountsFile(name, check_points(mounts))


def _mount(table: Mapping[str, Any], where: str, folder: Path) -> Declared:
    config = table.get("config", {})
    settings = {}
    for name, value in config.items() if isinstance(config, dict) else ():
        settings[name] = _setting(value, f"{where}: config.{name}", folder)
    return declared({**table, "config": settings if isinstance(config, dict) else config, "where": where})


def _setting(value: Any, where: str, folder: Path) -> str:
    if isinstance(value, dict):
        try:
            if set(value) == {"file"} and isinstance(value["file"], str):
                return from_file(folder / value["file"])
            if set(value) == {"env"} and isinstance(value["env"], str):
                return from_environment(value["env"])
        except BadSecret as error:
            raise BadMount(f"{where}: {error}") from None
        raise BadMount(f'{where}: a secret is {{file = "…"}} or {{env = "…"}}')
    return text_of(value, where)


def text_of(value: Any, where: str) -> str:
    """A setting of a store as text. Raises BadMount."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise BadMount(f"{where} is neither a text nor a number")


def declared(table: Mapping[str, Any]) -> Declared:
    """A mount from a table whose ``where`` names it. Raises BadMount."""
    where = str(table.get("where", "mount"))
    given = {name: value for name, value in table.items() if name != "where" and value is not None}
    unknown = sorted(set(given) - set(_KINDS))
    if unknown:
        raise BadMount(f"{where}: unknown field {', '.join(unknown)}; there are {', '.join(_KINDS)}")
    for name in ("point", "type"):
        if name not in given:
            raise BadMount(f"{where}: {name} is missing")
    for name, value in given.items():
        if not isinstance(value, _KINDS[name]) or (isinstance(value, bool) and _KINDS[name] is int):
            raise BadMount(f"{where}: {name} is not a {_SPOKEN[_KINDS[name]]}: {value!r}")
    if abs(given.get("priority", 0)) > 2**31:
        raise BadMount(f"{where}: priority is too large")
    try:
        point = check_mount_point(given["point"])
    except BadMount as error:
        raise BadMount(f"{where}: {error}") from None
    for name, allowed in (("layout", LAYOUTS), ("dedup_scope", SCOPES)):
        if name in given and given[name] not in allowed:
            raise BadMount(f"{where}: {name} is one of {', '.join(allowed)}: {given[name]!r}")
    config = {name: text_of(value, f"{where}: config.{name}") for name, value in given.get("config", {}).items()}
    if "layout" in given:
        config["layout"] = given["layout"]
    named = f"({point})"  # already there where the table was sent by a client that had read the file
    return Declared(
        where if where.endswith(named) else f"{where} {named}",
        point,
        given["type"],
        config,
        given.get("priority", 0),
        given.get("readonly", False),
        given.get("dedup_scope"),
    )


_SPOKEN = {str: "text", int: "number", bool: "boolean", dict: "table"}


def check_points(mounts: list[Declared]) -> tuple[Declared, ...]:
    """Raises BadMount where two declare the same point."""
    seen: dict[str, str] = {}
    for each in mounts:
        if each.mount_point in seen:
            raise BadMount(f"{each.where}: declared before: {seen[each.mount_point]}")
        seen[each.mount_point] = each.where
    return tuple(mounts)
