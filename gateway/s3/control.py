"""What is served of S3 Control: the public access block of an account, which is a tenant here.

Its path is one of a bucket and a key that are legal too, so path and account header decide together; S3's own requests
never carry that header. https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_PutPublicAccessBlock.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.access import authorize_tenant
from gateway.s3.documents import verify_document
from gateway.s3.errors import MalformedXML, MethodNotAllowed, NoSuchPublicAccessBlockConfiguration, NotImplemented_
from gateway.s3.model import operations
from gateway.s3.operations.policies import block_from, block_members
from gateway.s3.parse import decode_header
from gateway.s3.render import Response
from gateway.s3.xml import XMLError, compile_document

if TYPE_CHECKING:
    from gateway.auth.payload import RequestBody
    from gateway.core import Core
    from gateway.types import Principal

OPERATION = "AccountPublicAccessBlock"
ACCOUNT = b"x-amz-account-id"
_ROOT = b"/v20180820/"
PATH = _ROOT + b"configuration/publicAccessBlock"
NAMESPACE = "http://awss3control.amazonaws.com/doc/2018-08-20/"
MAX_DOCUMENT = 64 * 1024

_PUT = replace(operations()["PutPublicAccessBlock"], checksum_required=False)
"""The document is that of a bucket's block, in a namespace of its own; a digest of it is welcome."""
_read = compile_document(_PUT)


def is_control(raw_path: bytes, headers: Mapping[bytes, bytes]) -> bool:
    return ACCOUNT in headers and raw_path.startswith(_ROOT)


async def answer(
    core: Core,
    method: str,
    raw_path: bytes,
    principal: Principal | None,
    headers: Mapping[bytes, bytes],
    body: RequestBody,
) -> Response:
    """Serve a request that ``is_control``. Raises NotImplemented, NotAllowed, MalformedXML, and what is not found."""
    if raw_path != PATH:
        raise NotImplemented_("S3 Control is served for the public access block of an account only")
    handler = _HANDLERS.get(method)
    if handler is None:
        raise MethodNotAllowed(Method=method, ResourceType="PUBLIC_ACCESS_BLOCK")
    account = decode_header(headers[ACCOUNT])
    verb = "Get" if method == "GET" else "Put"
    authorize_tenant(principal, f"s3:{verb}AccountPublicAccessBlock", account)
    return await handler(core, account, headers, body)


async def _get(core: Core, account: str, headers: Mapping[bytes, bytes], body: RequestBody) -> Response:
    block = await core.buckets.tenant_block(account)
    if block is None:
        raise NoSuchPublicAccessBlockConfiguration(AccountId=account)
    switches = "".join(f"<{name}>{str(on).lower()}</{name}>" for name, on in block_members(block).items())
    root = "PublicAccessBlockConfiguration"
    document = f'<?xml version="1.0" encoding="UTF-8"?>\n<{root} xmlns="{NAMESPACE}">{switches}</{root}>'.encode()
    return 200, [(b"content-type", b"application/xml"), (b"content-length", b"%d" % len(document))], document


async def _put(core: Core, account: str, headers: Mapping[bytes, bytes], body: RequestBody) -> Response:
    document = await body.read(MAX_DOCUMENT)
    verify_document(_PUT, document, headers, body.trailers)
    try:
        block = block_from(_read(document))
    except XMLError as error:
        raise MalformedXML from error
    await core.buckets.set_tenant_block(account, block)
    return 200, [(b"content-length", b"0")], b""


async def _delete(core: Core, account: str, headers: Mapping[bytes, bytes], body: RequestBody) -> Response:
    await core.buckets.set_tenant_block(account, None)
    return 204, [], b""


_HANDLERS: Mapping[str, Callable[[Core, str, Mapping[bytes, bytes], RequestBody], Awaitable[Response]]] = {
    "GET": _get,
    "PUT": _put,
    "DELETE": _delete,
}
