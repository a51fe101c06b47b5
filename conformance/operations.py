"""Write the page of S3 operations from the code itself: what is served, with which members, and what is refused.

python -m conformance.operations > docs/s3.md
"""

from __future__ import annotations

from conformance.s3tests import CONTRADICTING
from gateway.s3 import operations as _handlers  # noqa: F401  (importing it fills the registry)
from gateway.s3 import quirks
from gateway.s3.model import Operation, operations
from gateway.s3.operations.registry import REGISTRY

HEAD = """# S3 operations

Made from the code by `python -m conformance.operations`. Every operation of S3's model is routed. Those without a
handler answer `501 NotImplemented`; so does a request that sends a member its operation does not take, unless ignoring
it can do no harm. A query key that the chosen operation does not own is refused on writes. The test suite sends every
operation and every refused member below to a running gateway and sees that the answer is `NotImplemented`.

The model also has {unreachable} operations that no request to this endpoint can mean: {names}.
"""

BODY = """
## Where AWS says little, or another thing

- `If-None-Match` on writes takes ETags besides `*`.
- Storage classes are accepted, kept and shown; what is of a class that is bound to a store lies there
  ([lifecycle.md](lifecycle.md)). Every class reads at once: nothing has to be restored.
- A lifecycle rule that moves objects to a class without a store is refused with 501 `NotImplemented`, as nothing would
  ever come of it.
- The copy of a multipart object keeps the source's ETag, because no byte is read within a store; a copy to SSE-KMS or
  SSE-C gets another.
- ETags under SSE-KMS and SSE-C are no MD5, as on AWS, and are the same for the same content under the same key.
- Encryption ([encryption.md](encryption.md)): `aws:kms:dsse` is refused with 501 `NotImplemented`; SSE-C is taken over
  plain HTTP, for TLS may end in front of the gateway, and is not blocked until a bucket blocks it.
- Server access logs ([logs.md](logs.md)): whether the target lets them in is decided at each delivery, as on AWS.
- Of a multipart object `GetObjectAttributes` lists the parts where they have checksums of their own, which is where the
  upload asked for a composite one; otherwise it tells how many they are
  ([AWS](https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributesParts.html)).
- SHA512, MD5, XXHASH64, XXHASH3 and XXHASH128 of multipart objects are composite, those of other objects are of the
  whole; xxHash has seed 0 and the canonical byte order.
- Of the places where ceph/s3-tests and the record of AWS's answers that LocalStack keeps
  ([snapshots](https://github.com/localstack/localstack/tree/main/tests/aws/services/s3)) contradict each other, and
  documentation does not decide, these follow the suite: a checksum header that is no digest is `BadDigest` (recorded:
  `InvalidRequest`); a part number that an object does not have is `InvalidPart` (recorded: 416 `InvalidPartNumber`); a
  copied range that ends past its source is `InvalidRange` (recorded: `InvalidArgument`); an empty continuation token
  begins a listing (recorded: `InvalidArgument`); a composite checksum among an object's attributes tells the number of
  parts (recorded: without); a completion may leave out the checksums of its parts (recorded: `InvalidRequest`); one
  without a body is `MalformedXML` (recorded: `InvalidRequest`). Owners and initiators have a `DisplayName`, which AWS
  left out by the end of 2025.
- After a common prefix `ListMultipartUploads` tells that prefix as `NextKeyMarker`, where AWS tells nothing and
  who pages would begin anew.
- No mount serves a path, or its store is not mounted: 404 `NoSuchBackend`. A store is full: 507
  `InsufficientCapacity`. SDKs repeat neither by themselves.
"""

CONTRADICTED = """
## Tests of ceph/s3-tests that AWS's documentation contradicts

The gateway follows AWS. `python -m conformance.s3tests` runs them all the same.

"""


def refused_members(operation: Operation) -> list[str]:
    """The members of a served operation that are refused when they are sent."""
    registered = REGISTRY.handlers[operation.name]
    return [
        member.name
        for member in operation.inputs
        if member.name not in registered.takes and member.name not in ignored_members(operation)
    ]


def ignored_members(operation: Operation) -> dict[str, str]:
    """The members of a served operation that may be sent and are not handed to its handler, each with the reason."""
    registered = REGISTRY.handlers[operation.name]
    known = {**quirks.IGNORED_MEMBERS, **registered.ignores}
    if operation.body_kind == "document":
        known |= quirks.IGNORED_WITH_DOCUMENT
    return {
        member.name: known[member.name]
        for member in operation.inputs
        if member.name in known and member.name not in registered.takes
    }


def page() -> str:
    model = operations()
    unreachable = ", ".join(f"`{name}` ({reason})" for name, reason in quirks.UNREACHABLE.items())
    served = [model[name] for name in sorted(REGISTRY.handlers)]
    refused = [model[name] for name in sorted(model) if name not in REGISTRY.handlers]
    lines = [
        HEAD.format(unreachable=len(quirks.UNREACHABLE), names=unreachable),
        f"\n## Served: {len(served)} of {len(model)}\n\n| operation | takes | refuses |\n|---|---|---|",
        *map(_served_row, served),
        "\n### Members that are read elsewhere, or can be ignored without harm\n",
        "| member | operations | why |\n|---|---|---|",
        *_ignored_rows(served),
        f"\n## Answered with NotImplemented: {len(refused)}\n",
        "| operation | request | members, none of them taken |\n|---|---|---|",
        *map(_refused_row, refused),
    ]
    return "\n".join(lines) + "\n" + BODY + CONTRADICTED + "\n".join(_contradictions()) + "\n"


def _contradictions() -> list[str]:
    """The tests by what they expect, one line for all that expect the same."""
    by_reason: dict[str, list[str]] = {}
    for test, reason in CONTRADICTING.items():
        by_reason.setdefault(reason, []).append(f"`{test}`")
    return [f"- {', '.join(tests)}: {reason}" for reason, tests in by_reason.items()]


def _served_row(operation: Operation) -> str:
    takes = REGISTRY.handlers[operation.name].takes
    taken = ", ".join(member.name for member in operation.inputs if member.name in takes)
    return f"| `{operation.name}` | {taken} | {', '.join(refused_members(operation)) or '–'} |"


def _ignored_rows(served: list[Operation]) -> list[str]:
    """One row for each member and reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for operation in served:
        for member, reason in ignored_members(operation).items():
            found.setdefault((member, reason), []).append(operation.name)
    return [
        f"| `{member}` | {'all that have it' if member in quirks.IGNORED_MEMBERS else ', '.join(names)} | {reason} |"
        for (member, reason), names in sorted(found.items())
    ]


def _refused_row(operation: Operation) -> str:
    query = "&".join(key if value is None else f"{key}={value}" for key, value in operation.selectors)
    path = {"service": "/", "bucket": "/bucket", "key": "/bucket/key"}[operation.level]
    members = ", ".join(member.name for member in operation.inputs) or "–"
    return f"| `{operation.name}` | `{operation.method} {path}{'?' + query if query else ''}` | {members} |"


if __name__ == "__main__":
    print(page(), end="")
