"""Buckets as websites, by host name: for browsers, so without credentials and with pages for errors.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html

What may be seen is what anybody may get by GetObject, and it is got by that operation's own handler, so that ranges,
conditions and headers are the same. The query of a request means nothing here, nor do its ``x-amz-`` headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.auth.payload import RequestBody
from gateway.bucket_configs import WEBSITE
from gateway.errors import GatewayError, ObjectNotFound
from gateway.s3.call import Answer, Call
from gateway.s3.endpoint import Endpoint
from gateway.s3.error_page import error_headers, error_page
from gateway.s3.errors import AccessDenied, Found, MethodNotAllowed, NoSuchWebsiteConfiguration, S3Error
from gateway.s3.from_domain import to_s3_error
from gateway.types import Bucket
from gateway.website import Origin, Website, folder_location, load, stored_location

if TYPE_CHECKING:
    from gateway.core import Core
    from gateway.s3.render import Response

_ASKING = frozenset({b"range", b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"})
"""The headers by which a browser asks for a part, or for news only."""


@dataclass(slots=True)
class Visitor:
    """A request for a page."""

    method: str
    bucket: str
    key: str
    origin: Origin
    headers: Mapping[bytes, bytes]
    body: RequestBody
    client: str
    request_id: str
    error: str = ""
    """The code of the error in whose place something else is shown."""


class WebsiteDoor:
    """Serves the websites of buckets. ``endpoints`` are those of the S3 door."""

    def __init__(self, core: Core, endpoints: Mapping[str, Endpoint], host_id: str) -> None:
        self._core = core
        self._endpoints = {"GET": endpoints["GetObject"], "HEAD": endpoints["HeadObject"]}
        self._host_id = host_id

    async def answer(self, visitor: Visitor) -> Response:
        """The answer to a request; what is raised is for ``refusal``, or a failure of ours."""
        if visitor.method not in self._endpoints:
            refusal = MethodNotAllowed(Method=visitor.method, ResourceType="OBJECT")
            raise refusal.with_headers((b"allow", b"GET, HEAD, OPTIONS"))
        bucket = await self._core.buckets.find(visitor.bucket)
        site = bucket.config(WEBSITE, load) if bucket.configs else None
        if site is None:
            raise NoSuchWebsiteConfiguration(BucketName=bucket.name)
        if site.redirect_all is not None:
            return _redirect(site.redirect_all.status, site.redirect_all.location(visitor.origin, visitor.key))
        rule = site.rule_before(visitor.key)
        if rule is not None:
            return _redirect(rule.redirect.status, rule.location(visitor.origin, visitor.key))
        try:
            return await self._get(visitor, site.key_of(visitor.key))
        except (S3Error, GatewayError) as error:
            return await self._answer_failure(visitor, bucket, site, to_s3_error(error))

    def refusal(self, error: S3Error, method: str, request_id: str, nested: S3Error | None = None) -> Response:
        """An error as an answer."""
        headers = [*error.headers]
        if error.status == 304:
            return error.status, headers, b""
        headers += (*error_headers(error), (b"content-type", b"text/html; charset=utf-8"))
        page = error_page(error, request_id, self._host_id, nested)
        headers.append((b"content-length", b"%d" % len(page)))
        return error.status, headers, b"" if method == "HEAD" else page

    async def _answer_failure(self, visitor: Visitor, bucket: Bucket, site: Website, error: S3Error) -> Response:
        """What a site does about a document that it cannot show. Raises ``error`` where it does nothing."""
        if error.status < 400:
            raise error
        visitor.error = error.code
        if await self._is_folder(visitor, bucket, site, error):
            raise Found().with_headers((b"location", folder_location(visitor.key).encode()))
        rule = site.rule_after(visitor.key, error.status)
        if rule is not None:
            return _redirect(rule.redirect.status, rule.location(visitor.origin, visitor.key))
        if site.error_key is None or error.status >= 500:
            raise error
        try:
            status, headers, body = await self._get(visitor, site.error_key, whole=True)
        except (S3Error, GatewayError) as nested:
            return self.refusal(error, visitor.method, visitor.request_id, to_s3_error(nested))
        if status >= 300:  # it redirects
            return status, headers, body
        return error.status, headers + error_headers(error), body

    async def _is_folder(self, visitor: Visitor, bucket: Bucket, site: Website, error: S3Error) -> bool:
        """Whether there is no such key, but an index document below it that the visitor may see."""
        key = visitor.key
        if not key or key.endswith("/") or error.status not in (403, 404):
            return False
        if isinstance(error, AccessDenied):  # whether it is absent, or not for everybody
            try:
                await self._core.objects.find(bucket, key, None)
            except ObjectNotFound:
                pass
            else:
                return False
        try:
            await self._handle(self._endpoints["HEAD"], visitor, f"{key}/{site.index}", {})
        except (S3Error, GatewayError):
            return False
        return True

    async def _get(self, visitor: Visitor, key: str, *, whole: bool = False) -> Response:
        """An object as GetObject answers, or the redirect that it stands for."""
        endpoint = self._endpoints[visitor.method]
        asking = {} if whole else {name: visitor.headers[name] for name in _ASKING & visitor.headers.keys()}
        result = await self._handle(endpoint, visitor, key, asking)
        location = result.get("WebsiteRedirectLocation")
        if location is not None:
            await _close(result.get("Body"))
            return _redirect(301, stored_location(location))
        try:
            return endpoint.render(result)
        except Exception:
            await _close(result.get("Body"))
            raise

    async def _handle(
        self, endpoint: Endpoint, visitor: Visitor, key: str, asking: Mapping[bytes, bytes]
    ) -> Mapping[str, Any]:
        members = endpoint.parse(visitor.bucket, key, {}, asking)
        call = Call(
            operation=endpoint.operation,
            principal=None,
            core=self._core,
            method=visitor.method,
            query={},
            headers=visitor.headers,
            body=visitor.body,
            request_id=visitor.request_id,
            host=visitor.origin.host,
            secure=visitor.origin.protocol == "https",
            client=visitor.client,
            members=members,
        )
        outcome = await endpoint.handler(call, **members)
        return outcome.result if isinstance(outcome, Answer) else outcome


def _redirect(status: int, location: str) -> Response:
    return status, [(b"location", location.encode("latin-1")), (b"content-length", b"0")], b""


async def _close(body: object) -> None:
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()
