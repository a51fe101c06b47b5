"""Lets Python clients resolve BUCKET.localhost, which is this machine (RFC 6761), as few C libraries know."""

import socket
from typing import Any

_ask = socket.getaddrinfo


def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    return _ask("127.0.0.1" if isinstance(name, str) and name.endswith(".localhost") else host, *arguments, **options)


socket.getaddrinfo = getaddrinfo
