"""Connections that look whom they reached before anything is sent.

A name may lead elsewhere when it is connected to than when it was checked. So the address of the connection itself
decides: no request, and none of our credentials, goes to where a cloud tells machines theirs.
"""

from __future__ import annotations

import socket
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from backends.base import StoreMisconfigured, is_forbidden


def checked(connection: socket.socket) -> socket.socket:
    """A connection that leads to where it may. Raises StoreMisconfigured."""
    peer = connection.getpeername()
    if is_forbidden(str(peer[0])):
        connection.close()
        raise StoreMisconfigured("the address leads to where clouds tell machines their credentials: it is refused")
    return connection


class _Plain(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _Secure(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


POOLS: dict[str, Any] = {"http": _PlainPool, "https": _SecurePool}
"""For a urllib3.PoolManager."""
