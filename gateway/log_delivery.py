"""Delivering access logs: records are gathered in memory and written as objects every few minutes, at best effort.

As on AWS a record may be late, or missing where a worker was killed; a request never waits for its record. What a
delivery writes makes no record itself, so that a bucket that logs into itself does not grow by that alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.acl import ENFORCED, FULL_CONTROL, USER, Acl, Grant
from gateway.bodies import Checks
from gateway.bucket_configs import LOGGING
from gateway.catalog import identity
from gateway.core import Core
from gateway.errors import BucketNotFound, KeyTooLong, NotAllowed
from gateway.objects import Bytes
from gateway.policy import ALLOW, DENY, Caller, PolicyRequest, decide
from gateway.public_access import policy_of
from gateway.server_logs import LogTarget, acl_lets_logs_in, log_key, log_target, unfit_target
from gateway.types import Attributes, Bucket

log = logging.getLogger("nexus.logs")

SERVICE = "logging.s3.amazonaws.com"
"""What bucket policies call the deliverer."""
MAX_BYTES = 32 * 1024 * 1024
"""Records that wait in one worker; more are dropped, and counted."""
FULL_BYTES = 4 * 1024 * 1024
"""A log object of this size is written at once."""
MAX_PILE = 2 * FULL_BYTES
"""What one bucket may have waiting, so that no target that cannot be written takes the room of all."""
SHUTDOWN_SECONDS = 10.0


@dataclass(slots=True)
class _Pile:
    """The records of one bucket that will share an object."""

    source: Bucket
    lines: list[str] = field(default_factory=list)
    size: int = 0
    failed: bool = False
    """Whether it could not be written; then it waits for its time, full or not."""


class LogDelivery:
    """Gathers the records of one worker and delivers them."""

    def __init__(self, core: Core, *, seconds: float) -> None:
        self._catalog = core.catalog
        self._names = core.names
        self._objects = core.objects
        self._seconds = seconds
        self._piles: dict[tuple[str, LogTarget, int | None], _Pile] = {}
        self._waiting = 0
        self._dropped = 0
        self._full = asyncio.Event()

    def may_keep(self, name: str) -> bool:
        """Whether the bucket of that name may keep a log; this worker knows of most that they keep none."""
        bucket = self._names.at_hand.buckets.get(name)
        return bucket is None or LOGGING in bucket.configs

    async def source(self, name: str) -> Bucket | None:
        """The bucket of that name if it keeps a log. Costs a look into a dictionary where this worker knows it."""
        bucket = self._names.known(name)
        if bucket is None:
            try:
                bucket = await self._names.bucket(name)
            except BucketNotFound:
                return None
            except Exception:
                log.exception("an access log record is lost")
                return None
        return bucket if bucket.configs and log_target(bucket) is not None else None

    def add(self, source: Bucket, line: str, event: float) -> None:
        """Keep a record, a line without its first field (the bucket owner's id), until it is delivered."""
        target = log_target(source)
        if target is not None:
            self._keep(source, target, target.day_of(event), [line], len(line))

    def _keep(
        self,
        source: Bucket,
        target: LogTarget,
        day: int | None,
        lines: list[str],
        size: int,
        *,
        failed: bool = False,
    ) -> None:
        pile = self._piles.get((source.name, target, day)) or _Pile(source)
        if self._waiting + size > MAX_BYTES or pile.size + size > MAX_PILE:
            self._dropped += len(lines)
            return
        self._piles[source.name, target, day] = pile
        pile.lines += lines
        pile.size += size
        pile.failed |= failed
        self._waiting += size
        if pile.size >= FULL_BYTES and not pile.failed:
            self._full.set()

    async def run_forever(self) -> None:
        """Deliver every so many seconds, and when an object is full, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), self._seconds)
            self._full.clear()
            await self.deliver()

    async def close(self) -> None:
        """Deliver what is left, within bounds."""
        try:
            await asyncio.wait_for(self.deliver(), SHUTDOWN_SECONDS)
        except TimeoutError:
            log.error("access logs were not all delivered in time: records are lost")

    async def deliver(self) -> None:
        """Deliver everything that waits now. Raises nothing: what fails is told in the server's log."""
        piles, self._piles, self._waiting = self._piles, {}, 0
        dropped, self._dropped = self._dropped, 0
        if dropped:
            log.error("%d access log records were dropped: they came faster than they could be delivered", dropped)
        for (name, target, day), pile in piles.items():
            try:
                await self._write(pile, target, day)
            except (NotAllowed, BucketNotFound, KeyTooLong, _Unfit) as error:
                log.warning(
                    "%d access log records of %s are lost: no delivery to %s: %s",
                    *(len(pile.lines), name, target.bucket, error),
                )
            except Exception as error:
                log.warning("access logs of %s wait: %s cannot be written: %s", name, target.bucket, error)
                self._keep(pile.source, target, day, pile.lines, pile.size, failed=True)

    async def _write(self, pile: _Pile, target: LogTarget, day: int | None) -> None:
        """Write one log object. Raises BucketNotFound, NotAllowed, _Unfit, and what a put raises."""
        bucket = await self._names.bucket(target.bucket)
        check_target(pile.source, bucket)
        key = log_key(target, pile.source, day, time.time(), secrets.token_hex(8).upper())
        authorize_delivery(pile.source, bucket, key)
        owner = await self._canonical_id(pile.source.owner_id)
        body = "".join([f"{owner} {line}\n" for line in pile.lines]).encode()
        await self._objects.put(
            bucket,
            key,
            Bytes(_once(body), len(body)),
            Attributes("text/plain"),
            Checks(limit=len(body)),
            owner_id=bucket.owner_id,
            acl=_acl(bucket, target.grants, owner),
        )

    async def _canonical_id(self, user_id: str) -> str:
        user = await self._catalog.read(identity.find_user, user_id)
        return user.canonical_id if user is not None else user_id


class _Unfit(Exception):
    """A target that takes no logs any more."""


def check_target(source: Bucket, target: Bucket) -> None:
    """Raise _Unfit where a bucket became one that may not take the source's logs."""
    if (target.owner_id, target.tenant, target.region) != (source.owner_id, source.tenant, source.region):
        raise _Unfit("it has another owner or region")
    if (reason := unfit_target(target)) is not None:
        raise _Unfit(reason)


def authorize_delivery(source: Bucket, target: Bucket, key: str) -> None:
    """Raise NotAllowed unless the target's policy, or its ACL where it is in force, lets the deliverer write.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    """
    policy = policy_of(target)
    verdict = None
    if policy is not None:
        context = _context(source)
        resource = f"arn:aws:s3:::{target.name}/{key}"
        verdict = decide(policy, PolicyRequest(Caller(service=SERVICE), "s3:PutObject", resource, context.get))
    if verdict == DENY or not (verdict == ALLOW or (target.ownership != ENFORCED and acl_lets_logs_in(target))):
        raise NotAllowed(f"neither its policy nor its ACL lets {SERVICE} write")


def _context(source: Bucket) -> dict[str, Sequence[str]]:
    """What conditions may ask of a delivery."""
    return {
        "aws:sourcearn": [f"arn:aws:s3:::{source.name}"],
        "aws:sourceaccount": [source.tenant],
        "aws:principalisawsservice": ["true"],
        "aws:principalservicename": [SERVICE],
        "aws:principalservicenameslist": [SERVICE],
        "aws:viaawsservice": ["false"],
        "aws:securetransport": ["true"],
        "aws:currenttime": [datetime.now(UTC).isoformat()],
        "aws:epochtime": [str(int(time.time()))],
    }


def _acl(target: Bucket, grants: Acl, owner: str) -> Acl | None:
    if not grants or target.ownership == ENFORCED:
        return None
    return (Grant(USER, owner, FULL_CONTROL), *grants)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
