"""Write the page of S3 operations from the code itself: what is served, with which members, and what is refused.

python -m conformance.operations > docs/s3.md
"""

from __future__ import annotations

from gateway.s3 import operations as _handlers  # noqa: F401  (importing it fills the registry)
from gateway.s3 import quirks
from gateway.s3.model import Operation, operations
from gateway.s3.operations.registry import REGISTRY, Registered

HEAD = """# S3 operations

Made from the code by `python -m conformance.operations`. Every operation of S3's model is routed. Those without a
handler answer `501 NotImplemented`; so does a request that sends a member its operation does not take, unless ignoring
it can do no harm. A query key that the chosen operation does not own is refused on writes.

The model also has {unreachable} operations that no request to this endpoint can mean: {names}.
"""

BODY = """
## Where AWS says little, or another thing

- `If-None-Match` on writes takes ETags besides `*`.
- Storage classes are accepted, kept and shown; every class reads at once.
- The copy of a multipart object keeps the source's ETag, because no byte is read within a store.
- A non-ASCII metadata value comes back as one RFC 2047 word, as
  [AWS documents](https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html); ceph/s3-tests'
  `test_object_set_get_unicode_metadata` expects the raw value.
- A presigned URL that lives longer than a week is refused with 400 `AuthorizationQueryParametersError`
  ([AWS](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html): at most 604,800 seconds);
  ceph/s3-tests' `test_object_raw_get_x_amz_expires_out_max_range` expects 403.
- No mount serves a path, or its store is not mounted: 404 `NoSuchBackend`. A store is full: 507
  `InsufficientCapacity`. SDKs repeat neither by themselves.
"""


def page() -> str:
    model = operations()
    unreachable = ", ".join(f"`{name}` ({reason})" for name, reason in quirks.UNREACHABLE.items())
    lines = [HEAD.format(unreachable=len(quirks.UNREACHABLE), names=unreachable)]
    served = {name: registered for name, registered in REGISTRY.handlers.items() if name in model}
    lines.append(f"\n## Served: {len(served)} of {len(model)}\n\n| operation | takes | refuses |\n|---|---|---|")
    lines += [_row(model[name], served[name]) for name in sorted(served)]
    refused = sorted(name for name in model if name not in served)
    lines.append(f"\n## Answered with NotImplemented: {len(refused)}\n\n" + ", ".join(f"`{name}`" for name in refused))
    return "\n".join(lines) + "\n" + BODY


def _row(operation: Operation, registered: Registered) -> str:
    harmless = set(registered.ignores) | set(quirks.IGNORED_MEMBERS)
    if operation.body_kind == "document":
        harmless |= set(quirks.IGNORED_WITH_DOCUMENT)
    known = [member.name for member in operation.inputs]
    takes = [name for name in known if name in registered.takes]
    refuses = [name for name in known if name not in registered.takes and name not in harmless]
    return f"| `{operation.name}` | {', '.join(takes)} | {', '.join(refuses) or '–'} |"


if __name__ == "__main__":
    print(page(), end="")
