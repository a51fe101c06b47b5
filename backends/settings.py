"""Reading the configuration of a store: texts in, values out, StoreMisconfigured for what makes no sense."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from backends.base import StoreMisconfigured, is_forbidden

TIMEOUT = 60.0
"""Seconds of silence after which a request is given up; a block must be through by then, over a slow line too."""


def read_prefix(config: Mapping[str, str]) -> str:
    """Where in a bucket a store lies: empty, or with one slash at its end and none at its start."""
    prefix = config.get("prefix", "").strip("/")
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise StoreMisconfigured(f"prefix must not have empty, '.' or '..' segments: {prefix}")
    if not prefix.isprintable():
        raise StoreMisconfigured("prefix must not have control characters")
    return f"{prefix}/" if prefix else ""


def read_timeout(config: Mapping[str, str]) -> float:
    try:
        timeout = float(config.get("timeout", TIMEOUT))
    except ValueError:
        timeout = 0.0
    if not 0.1 <= timeout <= 3600:
        raise StoreMisconfigured(f"timeout must be a number of seconds from 0.1 to 3600: {config['timeout']}")
    return timeout


def read_url(name: str, url: str) -> str:
    """An address that the server may be sent to: plain HTTP or HTTPS, and not link-local, where clouds hand a
    machine its credentials."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise StoreMisconfigured(f"{name} must be like https://host or http://host:port, not {url!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise StoreMisconfigured(f"{name} must be an address alone, without credentials, query or fragment")
    refuse_link_local(name, parts.hostname or "")
    return url.rstrip("/")


def refuse_link_local(name: str, host: str) -> None:
    """Raises StoreMisconfigured for where clouds hand a machine its credentials."""
    if _is_link_local(host):
        raise StoreMisconfigured(f"{name} must not be a link-local address")


def _is_link_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return is_forbidden(str(address))
