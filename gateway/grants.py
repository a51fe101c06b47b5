"""Groups of users, and roles below paths: made, taken back and listed."""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from gateway.access import authorize_granting
from gateway.catalog import grants as verbs
from gateway.catalog.base import Catalog
from gateway.errors import BackendNotFound, BadRequest, BucketNotFound, NotAllowed
from gateway.identity import DEFAULT_TENANT, check_tenant
from gateway.names import Names
from gateway.roles import EVERYWHERE, GROUP, LEVELS, USER, is_below
from gateway.types import Bucket, Group, PathGrant, Principal

_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_PREFIX = "group:"
MAX_PATH = 1024


class Subject(NamedTuple):
    """A user or a group, as people write them: ``alice``, ``group:editors``."""

    kind: str
    name: str

    def __str__(self) -> str:
        return self.name if self.kind == USER else _PREFIX + self.name


class Shown(NamedTuple):
    """A grant as people see it."""

    path: str
    subject: Subject
    grant: PathGrant


def parse_subject(text: str) -> Subject:
    """Raises BadRequest."""
    kind, name = (GROUP, text[len(_PREFIX) :]) if text.startswith(_PREFIX) else (USER, text.removeprefix("user:"))
    if not _GROUP.fullmatch(name):
        raise BadRequest("whom is a user's name, or group:NAME", "subject", text)
    return Subject(kind, name)


def split_grant_path(path: str) -> tuple[str, str]:
    """Bucket and prefix of a path; both are empty for all of a tenant. Raises BadRequest."""
    if not path.startswith("/") or len(path.encode()) > MAX_PATH or "\0" in path:
        raise BadRequest("a path starts with '/': /, /bucket or /bucket/prefix", "path", path)
    bucket, slash, prefix = path[1:].partition("/")
    if not bucket and slash:
        raise BadRequest("a path starts with '/': /, /bucket or /bucket/prefix", "path", path)
    return bucket, prefix.removesuffix("/")


class Groups:
    """Groups by name. Only admins come here."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def create(self, group: str, tenant: str = DEFAULT_TENANT) -> Group:
        """Raises GroupExists, BadRequest."""
        if not _GROUP.fullmatch(group):
            raise BadRequest("a group's name has 1 to 64 letters, digits and . _ @ -", "group", group)
        check_tenant(tenant)
        made = Group(group, tenant, _now())
        await self._catalog.write(verbs.create_group, made)
        return made

    async def list(self) -> list[Group]:
        return await self._catalog.scan(verbs.list_groups)

    async def delete(self, group: str) -> None:
        """Remove a group and what it was granted; its members stay. Raises GroupNotFound."""
        await self._catalog.write(verbs.delete_group, group)

    async def add(self, group: str, user: str) -> None:
        """Raises GroupNotFound, UserNotFound, BadRequest."""
        await self._catalog.write(verbs.add_to_group, group, user)

    async def remove(self, group: str, user: str) -> None:
        """Raises GroupNotFound, BadRequest."""
        await self._catalog.write(verbs.remove_from_group, group, user)


class Grants:
    """Roles below paths, for whoever may give them there: an admin, the bucket's owner, an owner by a grant.

    To anybody else a bucket of another tenant is as if it were not there.
    """

    def __init__(self, catalog: Catalog, names: Names) -> None:
        self._catalog = catalog
        self._names = names

    async def grant(self, by: Principal, subject: Subject, role: str, path: str) -> Shown:
        """Give a role, in place of the one the same has at that very path. Raises NotAllowed, BackendNotFound,
        BadRequest."""
        if role not in LEVELS:
            raise BadRequest(f"a role is one of {', '.join(LEVELS)}", "role", role)
        name, prefix = split_grant_path(path)
        bucket = await self._bucket(by, path, name, prefix)
        tenant = bucket.tenant if bucket is not None else await self._tenant(by, subject)
        number = bucket.id if bucket is not None else EVERYWHERE
        made = PathGrant(tenant, number, prefix, *subject, role, by.user_id, _now())
        await self._catalog.write(verbs.put_grant, made)
        return Shown(_path(name, prefix), subject, made)

    async def revoke(self, by: Principal, subject: Subject, path: str) -> None:
        """Take back what was granted at that very path. Raises NotAllowed, BackendNotFound, GrantNotFound."""
        name, prefix = split_grant_path(path)
        bucket = await self._bucket(by, path, name, prefix)
        if bucket is not None:
            tenant, number = bucket.tenant, bucket.id
        else:
            tenant, number = await self._tenant(by, subject), EVERYWHERE
        await self._catalog.write(verbs.drop_grant, PathGrant(tenant, number, prefix, *subject, ""))

    async def list(self, by: Principal, path: str | None = None, subject: Subject | None = None) -> list[Shown]:
        """The grants that the caller may give, of one subject, or at, above and below one path."""
        wanted = split_grant_path(path) if path is not None else None
        found = await self._catalog.scan(verbs.list_grants, None if by.is_admin else by.tenant)
        shown = []
        for name, grant in found:
            if subject is not None and subject != (grant.kind, grant.subject):
                continue
            if wanted is not None and not _concerns(wanted, name, grant.prefix):
                continue
            if await self._may(by, name, grant.prefix):
                shown.append(Shown(_path(name, grant.prefix), Subject(grant.kind, grant.subject), grant))
        return shown

    async def _may(self, by: Principal, name: str, prefix: str) -> bool:
        try:
            await self._bucket(by, name, name, prefix)
        except (NotAllowed, BackendNotFound):
            return False
        return True

    async def _bucket(self, by: Principal, path: str, name: str, prefix: str) -> Bucket | None:
        """The bucket of a path, None for all of a tenant, once the caller may grant there."""
        bucket = None
        if name:
            try:
                bucket = await self._names.bucket(name)
            except BucketNotFound:
                raise BackendNotFound(path) from None
        try:
            authorize_granting(by, bucket, prefix)
        except NotAllowed:
            if bucket is not None and bucket.tenant != by.tenant:
                raise BackendNotFound(path) from None
            raise
        return bucket

    async def _tenant(self, by: Principal, subject: Subject) -> str:
        """Whose ``/`` is meant: an admin's, that of whom it is about; anybody else's, their own."""
        if not by.is_admin:
            return by.tenant
        tenant = await self._catalog.read(verbs.tenant_of_subject, *subject)
        if tenant is None:
            raise BadRequest(f"there is no {subject.kind} {subject.name}", "subject", str(subject))
        return tenant


def _concerns(wanted: tuple[str, str], name: str, prefix: str) -> bool:
    """Whether a grant is at, above or below a path."""
    bucket, wanted_prefix = wanted
    if not bucket or not name:
        return True
    return bucket == name and (is_below(wanted_prefix, prefix) or is_below(prefix, wanted_prefix))


def _path(name: str, prefix: str) -> str:
    return f"/{name}/{prefix}" if prefix else f"/{name}"


def _now() -> int:
    return time.time_ns() // 1_000_000
