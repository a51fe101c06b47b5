"""Connections to one PostgreSQL database, blocking: settings, a pool, deadlines, failures told as a store tells them.

psycopg 3, because it is libpq: every way to log in, TLS as each of its users knows it, several hosts of which one may
be written to. Its wait for an answer is ours to end, so a server that falls silent holds nobody.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict

from backends.base import (
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreRefused,
    StoreUnavailable,
)
from backends.settings import read_timeout, refuse_link_local

T = TypeVar("T")

CONNECT_SECONDS = 5
CONNECTIONS = 8
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
FIELDS = ("host", "port", "dbname", "user", "password", "sslmode", "sslrootcert")
"""Settings that mean what libpq means by the same words."""
IN_DSN = {
    *FIELDS,
    *("application_name", "channel_binding", "connect_timeout", "gssencmode", "hostaddr", "krbsrvname"),
    *("load_balance_hosts", "require_auth", "sslcert", "sslcrl", "sslkey", "sslpassword", "target_session_attrs"),
}

GOES_BY = {
    "40001",  # serialization_failure: CockroachDB's way to say "again"
    "40P01",  # deadlock_detected
    "55P03",  # lock_not_available
    "57014",  # query_canceled, as by statement_timeout
    "23505",  # unique_violation: another node made the same tables just now
    "42P07",  # duplicate_table, likewise
}
GOES_BY_CLASSES = ("08", "53", "57", "58")
"""Connections, resources, an operator's interventions, the system beneath."""
DISK_FULL = "53100"
READ_ONLY = "25006"

REFUSALS = (
    ("password authentication failed", "correct user or password"),
    ("no password supplied", "give a password"),
    ("authentication failed", "correct user or password"),
    (
        "no pg_hba.conf entry",
        "let this user in from this machine (pg_hba.conf on the database's server), or set sslmode",
    ),
    ("permission denied for database", "GRANT CONNECT ON DATABASE {dbname} TO {user}"),
    ("is not permitted to log in", "ALTER ROLE {user} LOGIN"),
    ("does not exist", "make the database, or correct dbname and user"),
    ("does not support SSL", "set sslmode=disable, or have TLS switched on in the database's server"),
    ("certificate", "name the file of the certificates to trust as sslrootcert, or correct host"),
    ("SSL", "correct sslmode"),
)
"""What a connection that fails is told, and the advice. libpq knows no code for these, so there is only the text; where
a server speaks another language, the text is passed on without advice."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where a database is and how to get in."""

    parameters: Mapping[str, str] = field(repr=False)
    timeout: float
    durable: bool
    """Whether commits must outlive a power cut."""

    @property
    def dbname(self) -> str:
        return self.parameters["dbname"]

    @property
    def user(self) -> str:
        return self.parameters.get("user", "the user")

    @property
    def address(self) -> str:
        """For people, and to tell one database from another."""
        return f"{self.parameters['host'].lower()}:{self.parameters.get('port', '5432')}/{self.dbname}"


def read_server(config: Mapping[str, str]) -> Server:
    """The database of a configuration. Raises StoreMisconfigured."""
    told = {name: config[name] for name in FIELDS if name in config}
    if "dsn" in config:
        if told:
            raise StoreMisconfigured(f"postgres takes dsn or {', '.join(sorted(told))}, not both")
        told = _parsed(config["dsn"])
    for name in ("host", "dbname"):
        if not told.get(name):
            raise StoreMisconfigured(f"postgres needs {name}, as a setting or in dsn")
    if not all(port.isascii() and port.isdigit() for port in told.get("port", "5432").split(",")):
        raise StoreMisconfigured(f"port must be a number: {told['port']}")
    if told.get("sslmode", "prefer") not in SSL_MODES:
        raise StoreMisconfigured(f"sslmode must be one of {', '.join(SSL_MODES)}: {told['sslmode']}")
    for host in (*told["host"].split(","), *told.get("hostaddr", "").split(",")):
        refuse_link_local("host", host)
    fsync = config.get("fsync", "true")
    if fsync not in ("true", "false"):
        raise StoreMisconfigured(f"fsync must be true or false: {fsync}")
    return Server(told, read_timeout(config), fsync == "true")


def _parsed(dsn: str) -> dict[str, str]:
    try:
        told = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.Error:
        # What the parser says may quote the password.
        raise StoreMisconfigured(
            "dsn must be like postgresql://user:password@host:5432/dbname, special characters of the password"
            " percent-encoded"
        ) from None
    if unknown := set(told) - IN_DSN:
        raise StoreMisconfigured(f"dsn must not set {', '.join(sorted(unknown))}")
    return told


def read_connections(config: Mapping[str, str]) -> int:
    text = config.get("connections", str(CONNECTIONS))
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= 100):
        raise StoreMisconfigured(f"connections must be a number from 1 to 100: {text}")
    return int(text)


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that waits for an answer so long and no longer."""

    patience: float | None = None

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        return super().wait(gen, interval, self.patience if timeout is None else timeout)

    @property
    def dropped(self) -> bool:
        """Whether an idle connection has news, which can only be that the server let go of it."""
        if self.closed:
            return True
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    @classmethod
    def to(cls, server: Server) -> Self:
        """A new connection. Raises psycopg.Error."""
        settings = {
            "application_name": "nexus-gateway",
            "connect_timeout": str(max(2, min(CONNECT_SECONDS, int(server.timeout)))),
            "keepalives_idle": "30",
            "keepalives_interval": "10",
            "keepalives_count": "3",
            "tcp_user_timeout": str(int(server.timeout * 1000)),
            **server.parameters,
        }
        # Statements are not prepared, so that what pools connections between us and the server may do so.
        made = cls.connect("", autocommit=True, prepare_threshold=None, **settings)  # type: ignore[arg-type]
        made.patience = server.timeout + 1
        try:
            limit = f"{int(server.timeout * 1000)}ms"
            asked = "SELECT set_config('statement_timeout', %s, false), current_setting('synchronous_commit', true)"
            if made.execute(asked, (limit,)).fetchall()[0][1] == "off" and server.durable:
                made.execute("SET synchronous_commit = on")
        except BaseException:
            made.close()
            raise
        return made


class Connections:
    """The connections to a server that nobody uses at the moment; there are as many as there are threads that ask."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._idle: list[Connection] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection for the block. What psycopg raises is raised as a StoreError."""
        connection: Connection | None = None
        try:
            connection = self._take() or Connection.to(self.server)
            yield connection
        except psycopg.Error as error:
            if connection is not None and _must_go(error):
                connection.close()
                self._drop()
            raise told(error, self.server) from error
        except BaseException:
            if connection is not None and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.close()
            raise
        finally:
            if connection is not None:
                self._put_back(connection)

    def _take(self) -> Connection | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not connection.dropped:
                return connection
            connection.close()

    def _put_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _drop(self) -> None:
        """Let go of the others, too: what befell one has likely befallen all."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(psycopg.Error):
                connection.close()

    def close(self) -> None:
        with self._lock:
            self._closed = True
        self._drop()


def _must_go(error: psycopg.Error) -> bool:
    """Whether a connection is of no more use: broken, given up on, or to a server that may not be written to."""
    return error.sqlstate is None or error.sqlstate == READ_ONLY or error.sqlstate.startswith(("08", "57P"))


def told(error: psycopg.Error, server: Server) -> StoreError:
    """What a failure means to whoever uses the store."""
    state = error.sqlstate
    if state is None:
        return _not_connected(error, server)
    said = error.diag.message_primary or type(error).__name__
    if state == DISK_FULL:
        return StoreFull(f"the disk of the database {server.address} is full: {said}")
    if state == READ_ONLY:
        return StoreUnavailable(
            f"the database {server.address} takes no writes: {said}; name the primary, or all hosts with"
            " target_session_attrs=read-write in dsn"
        )
    if state in GOES_BY or state.startswith(GOES_BY_CLASSES):
        return StoreUnavailable(f"the database {server.address} cannot do it now: {said}")
    if state in ("42P01", "3F000", "3D000"):
        return StoreMisconfigured(f"the tables are gone from the database {server.address}: {said}")
    return StoreRefused(f"the database {server.address} answers {state}: {said}")


def _not_connected(error: psycopg.Error, server: Server) -> StoreError:
    text = " ".join(str(error).split())
    if isinstance(error, psycopg.OperationalError):
        refused = "FATAL:" in text or "SSL" in text or "no password supplied" in text
        for phrase, advice in REFUSALS if refused else ():
            if phrase in text:
                advice = advice.format(dbname=server.dbname, user=server.user)
                return StoreMisconfigured(f"the database {server.address} does not let us in: {advice} ({text})")
        return StoreUnavailable(f"the database {server.address} cannot be reached or broke off: {text}")
    return StoreRefused(f"the database {server.address} does not answer as PostgreSQL does: {text}")
