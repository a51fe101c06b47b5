"""The name space as one caller sees it: what methods about files find things in, and where they are allowed to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gateway.access import authorize
from gateway.audit.deeds import Deed, by
from gateway.bucket_configs import POLICY, REQUEST_PAYMENT
from gateway.core import Core
from gateway.errors import BackendNotFound, BucketNotFound, NotAllowed, ObjectNotFound
from gateway.policy import Context, nothing
from gateway.rpc.errors import RpcError, judged, not_found
from gateway.rpc.paths import Place
from gateway.standing import caller_of
from gateway.types import Bucket, ObjectInfo, Principal

_EXISTING_TAG = "s3:existingobjecttag/"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request tells a policy's conditions of itself."""

    client: str = ""
    """The address that it came from."""
    secure: bool = False
    agent: str | None = None
    request_id: str = ""


class Found(NamedTuple):
    """A file."""

    place: Place
    bucket: Bucket
    info: ObjectInfo


class Tree:
    """Buckets and files for one caller, who is authorised by the names of S3's actions."""

    def __init__(self, core: Core, principal: Principal, facts: Facts) -> None:
        self.core = core
        self.principal = principal
        self.facts = facts

    def permit(
        self, action: str, bucket: Bucket, key: str | None = None, info: ObjectInfo | None = None, prefix: str = ""
    ) -> None:
        """Raise NotAllowed unless the caller may do ``action``."""
        context = self.context(info, prefix) if POLICY in bucket.configs else nothing
        authorize(self.principal, action, bucket, key, info, context)
        if bucket.configs.get(REQUEST_PAYMENT) == "Requester" and not self._owns(bucket):
            raise NotAllowed("The bucket's requesters pay, which only S3 requests can agree to.")

    def recording(
        self, action: str, target: str | None, parameters: Mapping[str, Any] | None = None
    ) -> AbstractAsyncContextManager[None]:
        """Write what the block does to the audit log, as the caller's."""
        return self.core.audit.recording(self.deed(action, target, parameters), judged)

    def deed(self, action: str, target: str | None, parameters: Mapping[str, Any] | None = None) -> Deed:
        """An action of the caller's, as the audit log knows it."""
        facts = self.facts
        return by(
            self.principal,
            action,
            peer=facts.client,
            request=facts.request_id,
            target=target,
            parameters=parameters,
        )

    async def bucket(self, place: Place, action: str, key: str | None = None, prefix: str = "") -> Bucket:
        """The bucket of a path to change something in, once the caller may do ``action`` there.

        Raises NotAllowed, and BackendNotFound where there is none, as well as for what another tenant has.
        """
        found = await self._known_bucket(place)
        if found is None:
            raise BackendNotFound(place.path)
        try:
            self.permit(action, found, key, prefix=prefix)
        except NotAllowed:
            if self._is_foreign(found):
                raise BackendNotFound(place.path) from None
            raise
        return found

    async def find(self, place: Place, action: str = "s3:GetObject") -> Found | None:
        """The file at a path, once the caller may do ``action`` to it; None without one. Raises NotAllowed."""
        bucket = await self._known_bucket(place)
        if bucket is None or not place.key:
            return None
        try:
            try:
                info = await self.core.objects.find(bucket, place.key)
            except ObjectNotFound:
                # Who may not list must not learn what is absent.
                self.permit("s3:ListBucket", bucket, place.key, prefix=place.key)
                return None
            self.permit(action, bucket, place.key, info)
        except NotAllowed:
            if self._is_foreign(bucket):
                return None
            raise
        return Found(place, bucket, info)

    async def file(self, place: Place, action: str = "s3:GetObject") -> Found:
        """As ``find``; raises RpcError where there is no file."""
        found = await self.find(place, action)
        if found is None:
            raise not_found(place.path)
        return found

    async def listable(self, place: Place, *, quietly: bool = False) -> Bucket | None:
        """The bucket of a directory that the caller may list; None where there is none. Raises NotAllowed.

        ``quietly``, it is None where the caller may not, either.
        """
        bucket = await self._known_bucket(place)
        if bucket is None:
            return None
        try:
            self.permit("s3:ListBucket", bucket, place.below, prefix=place.below)
        except NotAllowed:
            if quietly or self._is_foreign(bucket):
                return None
            raise
        return bucket

    async def is_directory(self, place: Place) -> bool:
        """Whether there is a directory, made by mkdir or by a file below it. Raises NotAllowed."""
        if not place.bucket:
            return True
        bucket = await self.listable(place)
        if bucket is None:
            return False
        return not place.key or await has_keys(self.core, bucket, place.below)

    async def buckets(self) -> Sequence[Bucket]:
        """The buckets that ``aws s3 ls`` shows the caller."""
        found: list[Bucket] = []
        while page := await self.core.buckets.list(self.principal, "", found[-1].name if found else "", 1000):
            found += page
        return found

    async def _known_bucket(self, place: Place) -> Bucket | None:
        try:
            return await self.core.buckets.find(place.bucket) if place.bucket else None
        except BucketNotFound:
            return None

    def _owns(self, bucket: Bucket) -> bool:
        return self.principal.is_admin or self.principal.user_id == bucket.owner_id

    def _is_foreign(self, bucket: Bucket) -> bool:
        """Whether the caller, who may not do something there, must not even learn of a bucket."""
        return bucket.tenant != self.principal.tenant and not self.principal.is_admin

    def context(self, info: ObjectInfo | None, prefix: str) -> Context:
        """What a policy's conditions may know of a request."""

        def lookup(key: str) -> Sequence[str] | None:
            if key.startswith(_EXISTING_TAG):
                tags = info.attributes.tags if info is not None else ()
                return next(([value] for name, value in tags if name == key[len(_EXISTING_TAG) :]), None)
            if key == "s3:prefix":
                return [prefix]
            read = _KEYS.get(key)
            found = read(self, self.facts) if read is not None else None
            return None if found is None else [found]

        return lookup


_KEYS: dict[str, Callable[[Tree, Facts], str | None]] = {
    "aws:currenttime": lambda tree, facts: datetime.now(UTC).isoformat(),
    "aws:epochtime": lambda tree, facts: str(int(time.time())),
    "aws:sourceip": lambda tree, facts: facts.client or None,
    "aws:securetransport": lambda tree, facts: "true" if facts.secure else "false",
    "aws:useragent": lambda tree, facts: facts.agent,
    "aws:principalarn": lambda tree, facts: caller_of(tree.principal).arn,
    "aws:principalaccount": lambda tree, facts: tree.principal.tenant,
    "aws:principaltype": lambda tree, facts: "User",
    "aws:principalisawsservice": lambda tree, facts: "false",
    "aws:viaawsservice": lambda tree, facts: "false",
    "aws:userid": lambda tree, facts: tree.principal.user_id,
    "aws:username": lambda tree, facts: tree.principal.user_id,
    "aws:requestedregion": lambda tree, facts: tree.core.settings.region,
}
"""By key, what an RPC call tells a policy. The keys that are about S3's own headers it has not."""


async def has_keys(core: Core, bucket: Bucket, prefix: str) -> bool:
    return bool((await core.objects.list(bucket, prefix, "", "", 1)).rows)


def refuse(path: str, reason: str, code: int) -> RpcError:
    return RpcError(code, f"{path}: {reason}", {"path": path})
