"""Methods that tell whether somebody may do something, and which rule decides: by the code that decides."""

from __future__ import annotations

import time
from typing import Any

from gateway.access import WITHOUT_OBJECT, authorize_listing, judge
from gateway.acl import Grant
from gateway.bucket_configs import POLICY
from gateway.catalog import identity
from gateway.core import Core
from gateway.errors import BackendNotFound, BadRequest, BucketNotFound, KeyNotFound, NotAllowed, ObjectNotFound
from gateway.policy import ACTIONS, BUCKET_ACTIONS, Verdict, nothing
from gateway.roles import LISTING, READING
from gateway.rpc.methods import method
from gateway.rpc.tree import Facts, Tree
from gateway.standing import Decision
from gateway.types import Bucket, ObjectInfo, PathGrant, Principal

VERBS = {"read": "s3:GetObject", "write": "s3:PutObject", "list": "s3:ListBucket", "delete": "s3:DeleteObject"}


@method(reads=True)
async def admin_explain(
    core: Core, principal: Principal, *, user_id: str, action: str, path: str, key_id: str | None = None
) -> dict[str, Any]:
    """Whether a user, with one of its keys if told, may do an action at a path, and why.

    The action is read, write, list, delete, or one of S3's, such as ``s3:GetObjectTagging``. Conditions of policies are
    held against a request that tells who makes it and nothing else.
    """
    action = VERBS.get(action, action)
    if action not in ACTIONS:
        raise BadRequest("an action is read, write, list, delete or one of S3's (s3:GetObject)", "action", action)
    if not path.startswith("/"):
        raise BadRequest("a path starts with '/'", "path", path)
    caller, out = await _caller(core, user_id, key_id)
    name, _, key = path[1:].partition("/")
    allowed, rule, why = (False, "key", out) if out else await _explain(core, caller, action, name, key)
    return {"allowed": allowed, "rule": rule, "why": why, "user_id": user_id, "action": action, "path": path}


async def _caller(core: Core, user_id: str, key_id: str | None) -> tuple[Principal, str]:
    """A user with a key of its own, and why they may not call at all, if so."""
    user = await core.users.get_user(user_id)
    key = await core.users.get_key(key_id) if key_id is not None else None
    if key is not None and key.user_id != user_id:
        raise KeyNotFound(key.id)
    out = f"{user_id} is disabled" if user.disabled else ""
    if key is not None and key.revoked_at is not None:
        out = f"the key {key.id} is revoked"
    elif key is not None and key.expires_at is not None and key.expires_at <= time.time() * 1000:
        out = f"the key {key.id} is expired"
    return await core.catalog.read(identity.principal_of, user, key), out


async def _explain(core: Core, caller: Principal, action: str, name: str, key: str) -> tuple[bool, str, str]:
    try:
        bucket = await core.buckets.find(name)
    except BucketNotFound:
        return False, "absent", f"there is no bucket {name}" if name else "the path names no bucket"
    info = None
    if action in LISTING:
        key = key if not key or key.endswith("/") else key + "/"
    elif action in BUCKET_ACTIONS:
        key = ""
    elif not key:
        return False, "absent", "the path names no object"
    elif action not in WITHOUT_OBJECT:
        info = await _object(core, bucket, key)
    tree = Tree(core, caller, Facts())
    context = tree.context(info, key if action in LISTING else "") if POLICY in bucket.configs else nothing
    decision = judge(caller, action, bucket, key or None, info, context)
    if decision.allowed and action in LISTING:
        try:
            authorize_listing(caller, action, bucket, key, context)
        except NotAllowed as error:
            return False, "key", error.reason
    on_object = action not in BUCKET_ACTIONS or action == "s3:DeleteBucket"
    if decision.allowed and on_object and not action.startswith(READING) and (why := await _mounted(core, bucket, key)):
        return False, "mount", why
    return decision.allowed, decision.rule, _why(decision, caller, bucket, info)


async def _object(core: Core, bucket: Bucket, key: str) -> ObjectInfo | None:
    try:
        return await core.objects.find(bucket, key)
    except ObjectNotFound:
        return None


async def _mounted(core: Core, bucket: Bucket, key: str) -> str | None:
    """Why nobody can write there, if so."""
    path = f"/{bucket.name}/{key}" if key else f"/{bucket.name}"
    mounts = (await core.names.current()).table.covering(path)
    if not mounts:
        return str(BackendNotFound(path))
    return f"{path} is below the read-only mount {mounts[0].mount_point}" if mounts[0].readonly else None


def _why(decision: Decision, caller: Principal, bucket: Bucket, info: ObjectInfo | None) -> str:
    detail = decision.detail
    if isinstance(detail, PathGrant):
        whom = detail.subject if detail.kind == "user" else f"the group {detail.subject}"
        return f"{whom} has the role {detail.role} at {_path(detail, bucket)}"
    if isinstance(detail, Verdict):
        sid = f" ({detail.sid})" if detail.sid else ""
        return f"statement {detail.number}{sid} of the policy of {bucket.name}: {detail.effect}"
    if isinstance(detail, Grant):
        whose = "the object" if info is not None and detail in (info.acl or ()) else bucket.name
        return f"the ACL of {whose} grants {detail.permission} to {detail.grantee}"
    if decision.rule == "key":
        scope = "read-only" if detail == "readonly" else f"confined to {', '.join(caller.prefixes)}"
        return f"the key {caller.key_id} is {scope}"
    return _PLAIN[decision.rule].format(user=caller.user_id, bucket=bucket.name)


def _path(grant: PathGrant, bucket: Bucket) -> str:
    if not grant.bucket_id:
        return "/"
    return f"/{bucket.name}/{grant.prefix}" if grant.prefix else f"/{bucket.name}"


_PLAIN = {
    "admin": "{user} is an admin",
    "owner": "{user} owns {bucket}",
    "acl": "{user} owns the object",
    "public-access-block": "a policy or an ACL would allow it, but public access to {bucket} is blocked",
    "object-owner": "the object is another user's, whose ACL alone can let others in",
    "default": "no ownership, grant, policy or ACL allows it",
}
