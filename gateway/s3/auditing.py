"""Which operations administer, and what the audit log is told of them.

They are those that change a bucket as such, what may be done with it, or what becomes of all that it holds; reading and
writing objects is in access logs (``gateway.s3.server_log``).
"""

from __future__ import annotations

from gateway.audit.deeds import Deed, by
from gateway.s3 import control
from gateway.s3.call import Call
from gateway.s3.from_domain import to_s3_error
from gateway.s3.model import operations
from gateway.s3.parse import decode_header
from gateway.s3.visit import Visit

ADMINISTERING = frozenset(
    name
    for name, operation in operations().items()
    if operation.level == "bucket" and operation.method not in ("GET", "HEAD") and name != "DeleteObjects"
)
"""Every operation that changes something of a bucket, even those that come to be served later."""


def deed_of(call: Call) -> Deed:
    """What is written of a call; its document is among the members."""
    members = dict(call.members)
    bucket = members.pop("Bucket", "")
    return by(
        call.principal,
        f"s3:{call.operation.name}",
        peer=call.client,
        request=call.request_id,
        target=f"/{bucket}",
        parameters=members,
    )


def control_deed(visit: Visit, client: str) -> Deed:
    """What is written of a change of an account's public access block."""
    principal = visit.identity.principal if visit.identity is not None else None
    verb = "Put" if visit.method == "PUT" else "Delete"
    account = decode_header(visit.headers[control.ACCOUNT])
    return by(
        principal,
        f"s3:{verb}AccountPublicAccessBlock",
        peer=client,
        request=visit.request_id,
        target=f"tenant {account}",
    )


def judged(error: Exception) -> tuple[bool, str]:
    """Whether an error refuses somebody, and its code and message."""
    told = to_s3_error(error)
    return told.status == 403, f"{told.code}: {told.message}"
