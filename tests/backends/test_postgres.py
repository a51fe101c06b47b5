"""The store in a PostgreSQL database, against a real one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends import postgres
from backends.base import (
    BlobDamaged,
    BlobStore,
    ByteRange,
    StoreFull,
    StoreMisconfigured,
    StoreRefused,
    StoreUnavailable,
    read_all,
)
from backends.postgres import PostgresTables
from backends.postgres_server import read_server
from backends.registry import identity, mask, open_store
from backends.remote import RemoteStore
from backends.retrying import Retries
from tests import services
from tests.contracts.blob_store import RemoteStoreContract, name_of, names_in
from tests.e2e.harness import free_port, unique

MIB = 1024 * 1024


def schema() -> str:
    return unique("test").replace("-", "_")


@pytest.fixture
def config(postgres: dict[str, str]) -> dict[str, str]:
    return {**postgres, "schema": schema()}


class TestPostgres(RemoteStoreContract):
    @pytest.fixture
    async def store(self, config: dict[str, str]) -> AsyncIterator[BlobStore]:
        store = open_store("postgres", config)
        yield store
        await store.close()

    @pytest.fixture
    def bucket(self, config: dict[str, str]) -> services.PostgresKeys:
        return services.PostgresKeys(config)


async def probe(config: dict[str, str]) -> None:
    store = open_store("postgres", config)
    try:
        await store.probe()  # type: ignore[attr-defined]
    finally:
        await store.close()


def sql(config: dict[str, str], *statements: str) -> list[tuple[Any, ...]]:
    """What the last of some statements finds, made by who owns the database."""
    with services.postgres_client(config) as client:
        for statement in statements[:-1]:
            client.execute(statement)
        cursor = client.execute(statements[-1])
        return list(cursor.fetchall()) if cursor.description else []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"password": "wrong"}, "correct user or password .*authentication failed"),
        ({"password": ""}, "give a password"),
        ({"user": "nobody"}, "correct user or password"),
        ({"dbname": "none"}, "make the database, or correct dbname.*does not exist"),
        ({"sslmode": "require"}, "set sslmode=disable, or have TLS switched on"),
        ({"host": "nonesuch.invalid"}, "nonesuch.invalid:[0-9]+/blobs cannot be reached"),
        ({"port": str(free_port())}, "cannot be reached"),
    ],
)
async def test_why_it_does_not_let_us_in_is_said(config: dict[str, str], wrong: dict[str, str], message: str) -> None:
    with pytest.raises((StoreMisconfigured, StoreUnavailable), match=message) as told:
        await probe({name: value for name, value in {**config, **wrong}.items() if value})
    assert config["password"] not in str(told.value)


async def test_the_permission_that_is_missing_is_named(config: dict[str, str]) -> None:
    user = schema()
    sql(config, f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
    theirs, place = {**config, "user": user}, config["schema"]
    with pytest.raises(StoreMisconfigured, match=f"CREATE SCHEMA {place} AUTHORIZATION {user}, or GRANT CREATE"):
        await probe(theirs)
    await probe(config)
    with pytest.raises(StoreMisconfigured, match=f"GRANT USAGE ON SCHEMA {place} TO {user}; GRANT SELECT, INSERT, DEL"):
        await probe(theirs)
    sql(config, f"GRANT USAGE ON SCHEMA {place} TO {user}", f"GRANT SELECT ON {place}.nexus_blobs TO {user}")
    with pytest.raises(StoreMisconfigured, match="a permission is missing"):
        await probe(theirs)
    store = open_store("postgres", theirs)
    with pytest.raises(StoreMisconfigured, match="GRANT SELECT, INSERT, DELETE"):
        await store.put(name_of(b"x"), b"x")
    sql(config, f"GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA {place} TO {user}")
    await probe(theirs)
    await store.put(name_of(b"x"), b"x")
    assert await read_all(store, name_of(b"x")) == b"x"
    await store.close()
    sql(config, f"ALTER ROLE {user} SET default_transaction_read_only = on")
    with pytest.raises(StoreMisconfigured, match="takes no writes: name the primary"):
        await probe(theirs)


@pytest.mark.parametrize(
    ("state", "times", "kind", "message"),
    [
        ("40001", 2, None, ""),
        ("40P01", 2, None, ""),
        ("40001", 100, StoreUnavailable, "cannot do it now: trouble"),
        ("53100", 100, StoreFull, "the disk of the database .* is full: trouble"),
        ("53200", 100, StoreUnavailable, "cannot do it now: trouble"),
        ("23514", 100, StoreRefused, "answers 23514: trouble"),
    ],
)
async def test_what_the_database_says_is_passed_on(
    config: dict[str, str], state: str, times: int, kind: type[Exception] | None, message: str
) -> None:
    await probe(config)
    place = config["schema"]
    sql(
        config,
        f"CREATE SEQUENCE {place}.tries",
        f"CREATE FUNCTION {place}.trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF"
        f" nextval('{place}.tries') <= {times} THEN RAISE 'trouble' USING ERRCODE = '{state}'; END IF;"
        " RETURN NEW; END $$",
        f"CREATE TRIGGER trouble BEFORE INSERT ON {place}.nexus_blobs FOR EACH ROW EXECUTE FUNCTION {place}.trouble()",
    )
    server = read_server(config)
    store = RemoteStore(PostgresTables(server, place), "", timeout=5, retries=Retries(3, 5, 0.001))
    if kind is None:
        await store.put(name_of(b"x"), b"x")
        assert await read_all(store, name_of(b"x")) == b"x"
    else:
        with pytest.raises(kind, match=message):
            await store.put(name_of(b"x"), b"x")
        assert await names_in(store) == set()
    await store.close()


async def test_connections_that_the_server_ended_are_replaced_unnoticed(config: dict[str, str]) -> None:
    name = schema()
    dsn = f"host={config['host']} port={config['port']} user=nexus password=secret dbname=blobs application_name={name}"
    server = read_server({"dsn": dsn})
    store = RemoteStore(PostgresTables(server, config["schema"]), "", timeout=5, retries=Retries(attempts=1))
    contents = [b"%d" % n for n in range(16)]
    await asyncio.gather(*(store.put(name_of(each), each) for each in contents))
    ended = sql(
        config, f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = '{name}'"
    )
    assert ended and set(ended) == {(True,)}
    for each in contents:
        assert await read_all(store, name_of(each)) == each
    await store.close()


async def test_no_more_connections_than_told(config: dict[str, str]) -> None:
    name = schema()
    host, port = config["host"], config["port"]
    dsn = f"postgresql://nexus:secret@{host}:{port}/blobs?application_name={name}"
    store = open_store("postgres", {"dsn": dsn, "schema": config["schema"], "connections": "3"})
    await asyncio.gather(*(store.put(name_of(b"%d" % n), b"%d" % n) for n in range(50)))
    count = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"
    assert sql(config, count) == [(3,)]
    await store.close()


async def test_many_stores_may_make_the_tables_at_once(config: dict[str, str]) -> None:
    stores = [open_store("postgres", config) for _ in range(6)]
    await asyncio.gather(*(store.put(name_of(b"x"), b"x") for store in stores))
    assert await names_in(stores[0]) == {name_of(b"x")}
    for store in stores:
        await store.close()


async def test_a_commit_is_durable_whatever_the_role_is_set_to(config: dict[str, str]) -> None:
    await probe(config)
    place, user = config["schema"], schema()
    sql(
        config,
        f"CREATE ROLE {user} LOGIN SUPERUSER PASSWORD 'secret'",
        f"ALTER ROLE {user} SET synchronous_commit = off",
        f"CREATE TABLE {place}.seen (setting text)",
        f"CREATE FUNCTION {place}.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {place}.seen"
        " VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$",
        f"CREATE TRIGGER see BEFORE INSERT ON {place}.nexus_blobs FOR EACH ROW EXECUTE FUNCTION {place}.see()",
    )
    for fsync, content in (("true", b"x"), ("false", b"y")):
        store = open_store("postgres", {**config, "user": user, "fsync": fsync})
        await store.put(name_of(content), content)
        await store.close()
    assert sql(config, f"SELECT setting FROM {place}.seen") == [("on",), ("off",)]


async def test_a_database_that_forgets_is_refused(tmp_path: Path) -> None:
    with services.postgres(tmp_path, fsync="off") as config:
        with pytest.raises(StoreMisconfigured, match="runs with fsync=off and loses commits"):
            await probe(config)
        await probe({**config, "fsync": "false"})


async def test_a_blob_that_lacks_a_piece_is_damaged_and_mended(config: dict[str, str]) -> None:
    content = os.urandom(5 * MIB + 5)
    name = name_of(content)
    store = open_store("postgres", config)
    for n in (0, 2, 5):
        await store.put(name, content)
        sql(config, f"DELETE FROM {config['schema']}.nexus_chunks WHERE n = {n}")
        with pytest.raises(BlobDamaged):
            _ = [chunk async for chunk in store.get(name, ByteRange(0, len(content)))]
        await store.put(name, content)
        assert await read_all(store, name) == content
    await store.close()


async def test_a_blob_that_is_replaced_while_it_is_read_reads_on(config: dict[str, str]) -> None:
    content = os.urandom(8 * MIB)
    name = name_of(content)
    store = open_store("postgres", config)
    await store.put(name, content)
    reading = store.get(name)
    got = [await anext(reading)]
    await store.delete(name)
    await store.put(name, content)
    got += [chunk async for chunk in reading]
    assert b"".join(got) == content
    await store.close()


async def test_a_scan_goes_on_page_after_page(config: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "PAGE", 3)
    store = open_store("postgres", config)
    contents = {name_of(b"%d" % number, scope): b"%d" % number for number in range(5) for scope in ("default", "acme")}
    for name, content in contents.items():
        await store.put(name, content)
    for foreign in (b"\xff\xfe", b"cas/\xff\xfe", b"cas/", b"cas/00", b"zzz"):
        sql(
            config,
            f"INSERT INTO {config['schema']}.nexus_blobs (key, version, size)"
            f" VALUES ('\\x{foreign.hex()}', gen_random_uuid(), 1)",
        )
    assert await names_in(store) == set(contents)
    await store.close()


async def test_tables_that_are_gone_are_not_made_anew_behind_ones_back(config: dict[str, str]) -> None:
    store = open_store("postgres", config)
    await store.put(name_of(b"x"), b"x")
    sql(config, f"DROP SCHEMA {config['schema']} CASCADE")
    with pytest.raises(StoreMisconfigured, match="the tables are gone"):
        await read_all(store, name_of(b"x"))
    await store.close()


def test_a_dsn_and_its_parts_are_one_store_and_no_secret_is_shown() -> None:
    parts = {"host": "DB.example", "dbname": "blobs", "user": "u", "password": "hidden"}
    dsns = ["postgresql://u:hidden@db.example/blobs", "host=db.example port=5432 dbname=blobs user=other"]
    assert len({identity("postgres", each) for each in (parts, *({"dsn": dsn} for dsn in dsns))}) == 1
    assert identity("postgres", parts) != identity("postgres", {**parts, "schema": "other"})
    assert mask("postgres", {"dsn": dsns[0]}) == {"dsn": "********"}
    assert mask("postgres", parts)["password"] == "********"
    assert "hidden" not in repr(read_server(parts))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "postgres needs host"),
        ({"host": "h"}, "postgres needs dbname"),
        ({"dsn": "postgresql://h"}, "postgres needs dbname"),
        ({"dsn": "postgresql://h/d", "host": "h"}, "dsn or host, not both"),
        ({"dsn": "postgresql://u:p%zz@h/d"}, "dsn must be like"),
        ({"dsn": "host=h dbname=d service=x passfile=/etc/shadow"}, "dsn must not set passfile, service"),
        ({"host": "h", "dbname": "d", "port": "x"}, "port must be a number: x"),
        ({"host": "h", "dbname": "d", "sslmode": "maybe"}, "sslmode must be one of disable"),
        ({"host": "h", "dbname": "d", "schema": "no;"}, "schema must be of"),
        ({"host": "h", "dbname": "d", "fsync": "maybe"}, "fsync must be true or false"),
        ({"host": "h", "dbname": "d", "connections": "0"}, "connections must be a number from 1"),
        ({"host": "h", "dbname": "d", "timeout": "0"}, "timeout must be a number"),
        ({"host": "h,169.254.169.254", "dbname": "d"}, "host must not be a link-local address"),
        ({"dsn": "host=h hostaddr=169.254.169.254 dbname=d"}, "host must not be a link-local address"),
        ({"host": "h", "dbname": "d", "prefix": "x"}, "postgres has no setting prefix"),
    ],
)
def test_configurations_that_cannot_work_are_refused(config: dict[str, str], message: str) -> None:
    with pytest.raises(StoreMisconfigured, match=message) as told:
        open_store("postgres", config)
    assert "p%zz" not in str(told.value)
