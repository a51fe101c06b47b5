"""What a store's configuration may point the server at: hosts, credential files, directories.

Only admins configure stores; but what they name is then spoken to, or read, by the server, from where it stands. So the
addresses where clouds hand a machine its credentials are out of reach, whatever name leads there; an operator may
confine hosts and credential files further; and a directory that a store serves is not one that the server lives in.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from backends.base import StoreMisconfigured, StoreUnavailable, is_forbidden
from gateway.layouts import CAS, LAYOUT, NATIVE

_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s;'\"]+", re.IGNORECASE)
_DSN_HOST = re.compile(r"(?:^|\s)host(?:addr)?\s*=\s*'?([^\s']+)", re.IGNORECASE)
_SUFFIX = re.compile(r"EndpointSuffix=([^;]+)", re.IGNORECASE)
_NOT_FILES = (Path("/proc"), Path("/sys"), Path("/dev"))
_MEMORY = Path("/dev/shm")
_OURS = "metrics"


def hosts_of(config: Mapping[str, str]) -> Iterator[str]:
    """Every host that a configuration names: in URLs, in fields called so, in connection strings."""
    for name, value in config.items():
        for url in _URL.findall(value):
            try:
                parts = urlsplit(url)
            except ValueError:
                raise StoreMisconfigured(f"{name} has an address that is none") from None
            if parts.hostname:
                yield from parts.hostname.split(",")
        if name in ("host", "hostname", "server"):
            yield from (host.strip("[] ") for host in value.split(",") if host.strip())
        if name == "dsn" and "://" not in value:
            for hosts in _DSN_HOST.findall(value):
                yield from hosts.split(",")
        yield from _SUFFIX.findall(value)


class StorePolicy:
    """What the operator allows. ``hosts`` are names, patterns such as ``*.example.com``, addresses and networks."""

    def __init__(self, data_dir: Path, hosts: Sequence[str] = (), credentials_dir: Path | None = None) -> None:
        self._data_dir = data_dir
        self._credentials_dir = credentials_dir
        self._patterns: list[str] = []
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for host in hosts:
            try:
                self._networks.append(ipaddress.ip_network(host.strip("[]"), strict=False))
            except ValueError:
                self._patterns.append(host.lower().rstrip("."))

    def check_open(self, config: Mapping[str, str]) -> None:
        """What can be told without a look-up, each time that a store is opened. Raises StoreMisconfigured."""
        for host in hosts_of(config):
            self._check_host(host, ())
        self._check_credentials(config)

    def check_new(self, kind: str, config: Mapping[str, str], others: Iterable[tuple[str, Mapping[str, str]]]) -> None:
        """All of it, before a store is mounted; ``others`` are those that are. Blocks. Raises StoreError."""
        for host in hosts_of(config):
            self._check_host(host, _addresses(host))
        self._check_credentials(config)
        if kind == "local" and "data_dir" in config:
            self._check_directory(config, [other for other_kind, other in others if other_kind == "local"])

    def _check_host(self, host: str, addresses: Sequence[str]) -> None:
        name = host.lower().rstrip(".")
        literal = _address(name)
        found = [each for each in (literal, *map(_address, addresses)) if each is not None]
        if any(is_forbidden(str(address)) for address in found):
            raise StoreMisconfigured(
                f"{host} leads to a link-local address, or one where a cloud tells machines their credentials"
            )
        if not (self._patterns or self._networks) or any(fnmatchcase(name, each) for each in self._patterns):
            return
        if literal is None and not addresses and self._networks:
            return  # not looked up now; it was when it was mounted
        if not found or not all(any(address in network for network in self._networks) for address in found):
            raise StoreMisconfigured(f"{host} is not among the hosts that NEXUS_STORE_HOSTS allows")

    def _check_credentials(self, config: Mapping[str, str]) -> None:
        path = config.get("credentials_path")
        if path is None or self._credentials_dir is None:
            return
        if not Path(path).resolve().is_relative_to(self._credentials_dir.resolve()):
            raise StoreMisconfigured(f"credentials_path must be in {self._credentials_dir} (NEXUS_CREDENTIALS_DIR)")

    def _check_directory(self, config: Mapping[str, str], others: Sequence[Mapping[str, str]]) -> None:
        root, native = _root(config), config.get(LAYOUT) == NATIVE
        ours = self._data_dir.resolve()
        if any(root.is_relative_to(each) for each in _NOT_FILES) and not root.is_relative_to(_MEMORY):
            raise StoreMisconfigured(f"data_dir is no place for files: {root}")
        inside = root.relative_to(ours).parts if root.is_relative_to(ours) else None
        if inside is not None and (not inside or inside[0] == _OURS or (ours / inside[0]).is_file()):
            raise StoreMisconfigured(f"data_dir is in the server's own directory, where it keeps its own: {root}")
        if native and (ours.is_relative_to(root) or root.is_relative_to(ours)):
            raise StoreMisconfigured(f"the server's own directory, its master key too, is not served as it is: {root}")
        for other in others:
            if (other.get(LAYOUT, CAS) == NATIVE) == native:
                continue
            place = _root(other)
            if root.is_relative_to(place) or place.is_relative_to(root):
                raise StoreMisconfigured(
                    f"data_dir overlaps with {place}, a store of the other layout: one would show and change what the"
                    " other keeps"
                )


def _root(config: Mapping[str, str]) -> Path:
    return Path(config["data_dir"]).expanduser().resolve()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return None


def _addresses(host: str) -> list[str]:
    """What a name leads to. A directory (of a socket) leads nowhere."""
    if host.startswith("/"):
        return []
    try:
        return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise StoreUnavailable(f"the name {host} cannot be looked up") from None
