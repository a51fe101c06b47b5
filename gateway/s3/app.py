"""The S3 door: one ASGI endpoint. Authenticate, route, parse, call, render, send; every error ends here.

No request gets past ``verify`` with a claim unproven, whatever it asks for, and nothing but what was verified decides
afterwards. A request that claims nothing is refused unheard, but where ``admits`` says that a bucket may be open to
everybody: there it goes on as nobody's, and handlers refuse it unless an ACL lets everybody in.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from time import perf_counter
from typing import TYPE_CHECKING, Any

from gateway.admission import DOWNLOAD, SHORT, UPLOAD, Admission
from gateway.auth.payload import UNSIGNED
from gateway.auth.sigv4 import IN_QUERY, Identity, RequestHead, Verifier
from gateway.errors import BucketNotFound
from gateway.log_delivery import LogDelivery
from gateway.metrics import Metrics
from gateway.s3 import control, quirks
from gateway.s3 import operations as _handlers  # noqa: F401  (importing it fills the registry)
from gateway.s3.access_log import AccessLog
from gateway.s3.auditing import ADMINISTERING, control_deed, deed_of, judged
from gateway.s3.call import Answer, Body, Call
from gateway.s3.cross_origin import allowance, preflight
from gateway.s3.documents import verify_document
from gateway.s3.endpoint import Endpoint, compile_endpoints
from gateway.s3.errors import (
    AccessDenied,
    InternalError,
    InvalidURI,
    NotImplemented_,
    error_document,
)
from gateway.s3.forms.answer import object_url, posted
from gateway.s3.forms.fields import posts_form, read_form
from gateway.s3.forms.framing import boundary_of
from gateway.s3.forms.headers import object_headers
from gateway.s3.from_domain import to_s3_error
from gateway.s3.hosts import Domains
from gateway.s3.model import Operation, operations
from gateway.s3.operations.registry import REGISTRY, Registry
from gateway.s3.parse import header_map, hoisted, parse_query, split_path, without_conditions
from gateway.s3.render import Response
from gateway.s3.route import Routes
from gateway.s3.sending import Receive, Scope, Send, brings_body, close, leaves_much_unread, send_answer
from gateway.s3.server_log import Headers, keep_record
from gateway.s3.visit import Visit
from gateway.s3.website_door import Visitor, WebsiteDoor
from gateway.website import Origin

if TYPE_CHECKING:
    from gateway.core import Core
    from gateway.types import Principal

MAX_XML_BYTES = 8 * 1024 * 1024
"""A DeleteObjects of 1,000 escaped keys of full length, or a completion of 10,000 parts with checksums, fits."""
SHORT_XML_BYTES = 64 * 1024
"""A longer document is parsed in a thread: one of 8 MiB takes longer than others shall wait."""

NOBODY = "-"
"""Who requests without credentials are counted with: each other."""

_SERVER = (b"server", b"NexusGateway")

log = logging.getLogger("nexus.s3")


class S3Door:
    """Serves S3 over ``core`` to whoever ``verifier`` knows, path-style and, below ``s3_domains``, by host name.

    Below ``website_domains`` buckets are websites, to everybody.
    """

    def __init__(
        self,
        core: Core,
        verifier: Verifier,
        *,
        s3_domains: tuple[str, ...] = (),
        website_domains: tuple[str, ...] = (),
        admits: Callable[[str], Awaitable[bool]] | None = None,
        max_xml_bytes: int = MAX_XML_BYTES,
        registry: Registry = REGISTRY,
        access_log: AccessLog | None = None,
        server_logs: LogDelivery | None = None,
        admitted: Callable[[Principal], None] = lambda principal: None,
        admission: Admission | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._core = core
        self._verifier = verifier
        self._domains = Domains(s3_domains)
        self._has_domains = bool(s3_domains)
        self._admits = admits
        self._max_xml_bytes = max_xml_bytes
        self._access_log = access_log or AccessLog()
        self._server_logs = server_logs
        self._admitted = admitted
        self._admission = admission or Admission()
        self._metrics = metrics
        self._routes = Routes(operations().values())
        self._endpoints = compile_endpoints(operations(), registry.handlers)
        # AWS's second request id tells the machine; ours tells the process.
        self._host_id = base64.b64encode(secrets.token_bytes(48)).decode()
        self._host_id_header = (b"x-amz-id-2", self._host_id.encode())
        self._website_domains = Domains(website_domains)
        self._websites = WebsiteDoor(core, self._endpoints, self._host_id) if website_domains else None

    def flush_log(self) -> None:
        """Write the log lines of the requests so far."""
        self._access_log.flush()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(scope)
        headers: Headers = []
        try:
            try:
                status, headers, body = await self._answer(visit, scope, receive)
                if visit.share is not None and visit.method == "GET" and not isinstance(body, bytes):
                    await self._make_room_to_send(visit, visit.share, body)
            except Exception as error:
                status, headers, body = self._refuse(visit, error)
            visit.status = status
            if visit.allowance:
                headers += visit.allowance
            headers += ((b"x-amz-request-id", visit.request_id.encode()), self._host_id_header, _SERVER)
            closes = brings_body(visit) and await leaves_much_unread(visit)
            if closes:
                headers.append((b"connection", b"close"))
            visit.answered = perf_counter()
            await send_answer(visit, receive, send, headers, body, closes=closes)
        finally:
            if visit.share is not None:
                self._admission.leave(visit.share, visit.room)
            logs, call = self._server_logs, visit.call
            if logs is not None and (call is None or call.notes is not None or logs.may_keep(visit.bucket)):
                await self._keep_record(logs, visit, scope, headers)
            elapsed = perf_counter() - visit.started
            if self._metrics is not None:
                taken = visit.body
                received = taken.length or 0 if taken is not None and taken.begun else 0
                self._metrics.request("s3", visit.operation, visit.status, elapsed, received, visit.sent)
            self._access_log.write(visit.operation, visit.user, visit.status, visit.sent, elapsed, visit.request_id)

    async def _answer(self, visit: Visit, scope: Scope, receive: Receive) -> Response:
        raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        fields: Mapping[bytes, bytes] | None = scope.get("nexus.fields")  # as gateway.http has them, each sent once
        headers = visit.headers = header_map(raw_headers) if fields is None else fields
        if self._websites is not None:
            visit.site = self._website_domains.bucket_of(headers.get(b"host", b""))
        if visit.method == "OPTIONS":  # browsers send preflights without credentials
            visit.operation = "Preflight"
            return await preflight(self._core, *self._place(visit, scope), headers)
        if headers.get(b"origin"):
            visit.allowance = await self._allowance(visit, scope)
        if self._websites is not None and visit.site is not None:
            return await self._answer_from(self._websites, visit, scope, receive)
        raw_path, raw_query = scope["raw_path"], scope["query_string"]
        if visit.method == "POST" and self._is_form(visit, scope):
            return await self._post_object(visit, scope, receive)
        hosted = self._domains.bucket_of(headers.get(b"host", b"")) if self._has_domains else None
        head = RequestHead(visit.method, raw_path, raw_query, raw_headers, hosted, fields)
        if control.ACCOUNT in headers and control.is_control(raw_path, headers):
            return await self._control(visit, scope, receive, head)
        identity = visit.identity = await self._verifier.verify(head)
        if identity.principal is None:
            await self._admit_nobody(visit, scope)
        self._enter(visit, identity.principal)
        bucket, key = visit.bucket, visit.key = split_path(raw_path, hosted)
        query = parse_query(raw_query) if raw_query else {}
        told: Mapping[bytes, bytes] = headers
        if identity.auth_type is IN_QUERY:
            query, told = without_conditions(query, hoisted(query, headers))
        operation = self._routes.find(visit.method, self._routes.level(bucket, key), query, told)
        visit.operation = operation.name
        endpoint = self._endpoints.get(operation.name)
        if endpoint is None:
            if bucket:
                await self._core.buckets.find(bucket)  # what is not there is told first
            raise NotImplemented_(f"{operation.name} is not implemented", Operation=operation.name)
        visit.body = body = identity.payload.open(receive, headers)
        members = endpoint.parse(bucket, key, query, told)
        call = self._call(visit, scope, identity, operation, query, told, members, body)
        if endpoint.parse_document is not None:
            await self._make_room(visit, body, self._max_xml_bytes)
            document = await body.read(self._max_xml_bytes)
            verify_document(operation, document, headers, body.trailers)
            if len(document) <= SHORT_XML_BYTES:
                members.update(endpoint.parse_document(document))
            else:
                members.update(await asyncio.to_thread(endpoint.parse_document, document))
        elif endpoint.stream is not None:
            await self._make_room(visit, body, UPLOAD)
            members[endpoint.stream] = body
        if operation.name in ADMINISTERING:
            async with self._core.audit.recording(deed_of(call), judged):
                return await _handle(endpoint, call, members)
        return await _handle(endpoint, call, members)

    async def _control(self, visit: Visit, scope: Scope, receive: Receive, head: RequestHead) -> Response:
        """Serve a request of S3 Control."""
        visit.operation = control.OPERATION
        identity = visit.identity = await self._verifier.verify(head)
        self._enter(visit, identity.principal)
        visit.body = body = identity.payload.open(receive, visit.headers)
        recording: AbstractAsyncContextManager[None] = nullcontext()
        if visit.method in ("PUT", "DELETE"):
            deed = control_deed(visit, (scope.get("client") or ("",))[0])
            recording = self._core.audit.recording(deed, judged)
        async with recording:
            return await control.answer(
                self._core, visit.method, head.raw_path, identity.principal, visit.headers, body
            )

    def _is_form(self, visit: Visit, scope: Scope) -> bool:
        """Whether a POST is a browser's form: it goes to a bucket, and to none of its sub-resources."""
        visit.bucket, visit.key = self._place(visit, scope)
        if not visit.bucket or visit.key or self._routes.names_subresource(parse_query(scope["query_string"])):
            return False
        return posts_form(scope["query_string"], visit.headers)

    async def _post_object(self, visit: Visit, scope: Scope, receive: Receive) -> Response:
        """Store the file of a form: a PutObject whose members are fields, proven by the policy among them."""
        visit.operation = "PostObject"
        visit.body = body = UNSIGNED.open(receive, visit.headers)
        form = await read_form(aiter(body), boundary_of(visit.headers[b"content-type"]), body.length)
        visit.key = form.key
        identity = await self._verifier.verify_form(form.values)
        form.check_policy(visit.bucket)
        visit.identity = identity
        if identity.principal is None:
            await self._admit_nobody(visit, scope)
        self._enter(visit, identity.principal)
        endpoint = self._endpoints[quirks.FORM_OPERATION]
        headers = object_headers(form, visit.headers)
        members = endpoint.parse(visit.bucket, visit.key, {}, headers)
        await self._make_room(visit, body, UPLOAD)
        await form.file.begin()
        call = self._call(visit, scope, identity, endpoint.operation, {}, headers, members, form.file)
        in_path = self._domains.bucket_of(visit.headers.get(b"host", b"")) is None
        location = object_url(visit.key, visit.bucket, call.host, secure=call.secure, in_path=in_path)
        return posted(form, visit.bucket, location, await _handle(endpoint, call, members))

    def _call(
        self,
        visit: Visit,
        scope: Scope,
        identity: Identity,
        operation: Operation,
        query: Mapping[str, str],
        headers: Mapping[bytes, bytes],
        members: Mapping[str, Any],
        body: Body,
    ) -> Call:
        principal, _, auth_type, signature_version, signed_at = identity
        client = scope.get("client")
        call = visit.call = Call(  # by position, which costs a third less than by name
            operation,
            principal,
            self._core,
            visit.method,
            query,
            headers,
            body,
            visit.request_id,
            visit.headers.get(b"host", b"").decode("latin-1"),
            scope.get("scheme") == "https",
            client[0] if client else "",
            auth_type,
            signature_version,
            signed_at,
            members,
        )
        return call

    def _place(self, visit: Visit, scope: Scope) -> tuple[str, str]:
        """The bucket and the key of a request. Raises InvalidURI."""
        bucket = visit.site if visit.site is not None else self._domains.bucket_of(visit.headers.get(b"host", b""))
        return split_path(scope["raw_path"], bucket)

    async def _answer_from(self, websites: WebsiteDoor, visit: Visit, scope: Scope, receive: Receive) -> Response:
        visit.operation = "Website"
        self._enter(visit, None)
        visit.bucket, visit.key = self._place(visit, scope)
        visit.body = UNSIGNED.open(receive, visit.headers)
        host = visit.headers.get(b"host", b"").decode("latin-1")
        visitor = Visitor(
            visit.method,
            visit.bucket,
            visit.key,
            Origin(scope.get("scheme", "http"), host, scope["query_string"].decode("latin-1")),
            visit.headers,
            visit.body,
            (scope.get("client") or ("",))[0],
            visit.request_id,
        )
        answer = await websites.answer(visitor)
        visit.error = visitor.error
        return answer

    async def _allowance(self, visit: Visit, scope: Scope) -> Sequence[tuple[bytes, bytes]]:
        try:
            bucket, _ = self._place(visit, scope)
        except InvalidURI:
            return ()  # refused in its turn
        return await allowance(self._core, bucket, visit.method, visit.headers) if bucket else ()

    async def _keep_record(self, logs: LogDelivery, visit: Visit, scope: Scope, headers: Headers) -> None:
        """Note the request in the access logs of the buckets that keep one."""
        if visit.operation == control.OPERATION:
            return
        if not visit.bucket:  # refused before its path was read
            try:
                visit.bucket, visit.key = self._place(visit, scope)
            except InvalidURI:
                return
        await keep_record(logs, visit, scope, headers, self._host_id)

    def _enter(self, visit: Visit, caller: Principal | None) -> None:
        """Count a request, from now on as one that is under way. Raises TooManyRequests, TooBusy."""
        share = NOBODY
        if caller is not None:
            visit.user, share = caller.user_id, caller.share
            self._admitted(caller)
        self._admission.enter(share, writes=visit.method not in ("GET", "HEAD"))
        visit.share = share

    async def _make_room(self, visit: Visit, body: Body, most: int) -> None:
        """See that there is memory for a body, of which at most so much is in it at once."""
        size = most if body.length is None else min(body.length, most)
        if size > SHORT and visit.share is not None:
            visit.room += await self._admission.room(visit.share, size)

    async def _make_room_to_send(self, visit: Visit, share: str, body: object) -> None:
        try:
            visit.room += await self._admission.room(share, DOWNLOAD)
        except BaseException:
            await close(body)
            raise

    async def _admit_nobody(self, visit: Visit, scope: Scope) -> None:
        """Raise AccessDenied for a request without credentials where nothing may be open to it."""
        if self._admits is None:
            raise AccessDenied
        bucket, key = self._place(visit, scope)
        if not key:
            visit.bucket = bucket  # a HEAD that is refused tells its region
        try:
            admitted = bool(bucket) and await self._admits(bucket)
        except BucketNotFound:
            if visit.method == "PUT" and not key:  # it would make the bucket
                raise AccessDenied from None
            raise
        if not admitted:
            raise AccessDenied

    def _refuse(self, visit: Visit, error: Exception) -> Response:
        answer = to_s3_error(error)
        visit.error = answer.code
        if answer.detail.get("ResourceType") == "DeleteMarker":
            answer.detail["Method"] = visit.method
        if isinstance(answer, InternalError):
            log.error("request %s failed", visit.request_id, exc_info=error)
        if self._websites is not None and visit.site is not None:
            return self._websites.refusal(answer, visit.method, visit.request_id)
        headers = list(answer.headers)
        if answer.status == 304:
            return answer.status, headers, b""
        if visit.method == "HEAD":
            headers.append((b"content-type", b"application/xml"))
            region = self._region_of(visit) if answer.status == 403 else None
            if region is not None:
                headers.append((b"x-amz-bucket-region", region.encode()))
            return answer.status, headers, b""
        wrapped = visit.operation == control.OPERATION
        body = error_document(answer, visit.request_id, self._host_id, wrapped=wrapped)
        headers += ((b"content-type", b"application/xml"), (b"content-length", b"%d" % len(body)))
        return answer.status, headers, body

    def _region_of(self, visit: Visit) -> str | None:
        """The region of a bucket, which HeadBucket tells whoever may not have more: SDKs find buckets by that."""
        if not visit.bucket or visit.key:
            return None
        bucket = self._core.buckets.known(visit.bucket)
        return bucket.region if bucket is not None else None


async def _handle(endpoint: Endpoint, call: Call, members: Mapping[str, Any]) -> Response:
    outcome = await endpoint.handler(call, **members)
    result = outcome.result if isinstance(outcome, Answer) else outcome
    try:
        status, headers, body = endpoint.render(result)
    except Exception:
        await close(result.get("Body"))
        raise
    if isinstance(outcome, Answer):
        status, headers = outcome.status or status, headers + outcome.headers
    if call.charged:
        headers.append((b"x-amz-request-charged", b"requester"))
    return status, headers, body
