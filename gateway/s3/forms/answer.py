"""What a form is answered with: nothing, a document, or the way to another page.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
"""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

from gateway.s3.forms.fields import Form
from gateway.s3.render import Response
from gateway.s3.xml import escape

_STATUSES = {"200": 200, "201": 201}
"""By ``success_action_status``; anything else is 204."""
_REDIRECT = re.compile(r"https?://[^\x00-\x20/?#\x7f][^\x00-\x1f\x7f]*", re.I).fullmatch
_READABLE = "".join(map(chr, range(33, 127)))


def object_url(key: str, bucket: str, host: str, *, secure: bool, in_path: bool) -> str:
    """Where an object is, in the style in which its bucket was spoken to."""
    place = f"{host}/{bucket}" if in_path else host
    return f"{'https' if secure else 'http'}://{place}/{quote(key, safe='')}"


def redirect_to(url: str | None, bucket: str, key: str, etag: str) -> str | None:
    """The page that a form asks to be shown, told what was stored; None where it names none that can be reached."""
    if url is None or not _REDIRECT(url):
        return None
    page, mark, fragment = url.partition("#")
    told = f"bucket={quote_plus(bucket)}&key={quote_plus(key)}&etag={quote_plus(etag)}"
    return quote(f"{page}{'&' if '?' in page else '?'}{told}{mark}{fragment}", safe=_READABLE + " ")


def posted(form: Form, bucket: str, location: str, stored: Response) -> Response:
    """The answer to a form whose object is stored; ``stored`` is what a PutObject would have been answered."""
    headers = [pair for pair in stored[1] if pair[0] != b"content-length"]
    key, etag = form.key, dict(headers)[b"etag"].decode()
    page = redirect_to(form.get("success_action_redirect") or form.get("redirect"), bucket, key, etag)
    if page is not None:
        headers += ((b"location", page.encode()), (b"content-length", b"0"))
        return 303, headers, b""
    headers.append((b"location", location.encode()))
    status = _STATUSES.get(form.get("success_action_status") or "", 204)
    if status == 204:
        return status, headers, b""
    body = _document(location, bucket, key, etag) if status == 201 else b""
    if body:
        headers.append((b"content-type", b"application/xml"))
    headers.append((b"content-length", b"%d" % len(body)))
    return status, headers, body


def _document(location: str, bucket: str, key: str, etag: str) -> bytes:
    """A PostResponse, which has no namespace."""
    elements = {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag}
    text = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{text}</PostResponse>'.encode()
