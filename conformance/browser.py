"""A real browser against a real gateway: a page of another origin uses a bucket, and a website is visited.

python -m conformance.browser [--browser chromium] [--screenshot FILE]

It needs Chromium (Debian's package ``chromium``). The page is served on a port, so an origin, of its own; what its
script found out it posts back there. Prints a line per check; the exit code is the number of checks that failed.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from conformance.gateway import Gateway, running_gateway

DOMAIN = "s3-website.localhost"
SECONDS = 60
CHROMIUM = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=900,400"),
)
SCRIPT = """
const told = {};
async function check(name, act) {
  try { told[name] = await act(); } catch (error) { told[name] = String(error.name); }
}
async function run(urls) {
  await check('put', async () => {
    const answer = await fetch(urls.put, {method: 'PUT', body: 'from a page', headers: {'x-amz-meta-from': 'page'}});
    return [answer.status, answer.headers.get('etag')];
  });
  await check('get', async () => {
    const answer = await fetch(urls.get);
    return [answer.status, await answer.text(), answer.headers.get('x-amz-meta-from')];
  });
  await check('range', async () => {
    const answer = await fetch(urls.get, {headers: {Range: 'bytes=5-'}});
    return [answer.status, await answer.text()];
  });
  await check('absent', async () => {
    const answer = await fetch(urls.absent);
    return [answer.status, (await answer.text()).includes('NoSuchKey')];
  });
  await check('forged', async () => {
    const answer = await fetch(urls.forged);
    return [answer.status, (await answer.text()).includes('SignatureDoesNotMatch')];
  });
  await check('delete', async () => (await fetch(urls.delete, {method: 'DELETE'})).status);
  await check('closed', async () => (await fetch(urls.closed)).status);
  await check('credentials', async () => (await fetch(urls.get, {credentials: 'include'})).status);
  await check('site', async () => (await (await fetch(urls.site)).text()).trim());
  await check('folder', async () => (await (await fetch(urls.folder)).text()).trim());
  await check('missing', async () => {
    const answer = await fetch(urls.missing);
    return [answer.status, (await answer.text()).trim()];
  });
  await fetch('/told', {method: 'POST', body: JSON.stringify(told)});
}
"""
EXPECTED: dict[str, Any] = {
    "put": [200, '"1219f418c4a7385836767feed2483369"'],
    "get": [200, "from a page", "page"],
    "range": [206, "a page"],
    "absent": [404, True],
    "forged": [403, True],
    "delete": "TypeError",  # in no rule: the preflight is refused
    "closed": "TypeError",  # no rules: the answer is not shown
    "credentials": 200,
    "site": "<h1>A site</h1>",
    "folder": "<h1>A folder</h1>",  # by way of a redirect
    "missing": [404, "<h1>Nothing here</h1>"],
}


class Pages(ThreadingHTTPServer):
    """Serves the page, and takes what its script found out."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PageHandler)
        self.page = b""
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _PageHandler(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        self._answer(self.server.page)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.put(json.loads(body))
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def pages() -> Iterator[Pages]:
    with Pages() as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        yield server
        server.shutdown()


@contextmanager
def browser(program: str, url: str) -> Iterator[None]:
    """A headless browser that shows a page."""
    with tempfile.TemporaryDirectory(prefix="nexus-browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *CHROMIUM, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def screenshot(program: str, url: str, file: Path) -> None:
    """A picture of a page."""
    with tempfile.TemporaryDirectory(prefix="nexus-browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *CHROMIUM, f"--user-data-dir={profile}", f"--screenshot={file}", url]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=SECONDS, check=True)


def client_of(gateway: Gateway) -> BaseClient:
    return boto3.client(
        "s3",
        endpoint_url=gateway.url,
        region_name="us-east-1",
        aws_access_key_id=gateway.admin.access_key,
        aws_secret_access_key=gateway.admin.secret_key,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def prepare(s3: BaseClient, origin: str) -> None:
    """A bucket whose rules let the page in, one without rules, and a site."""
    rule = {
        "AllowedOrigins": [origin],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "x-amz-meta-from"],
    }
    for bucket in ("photos", "closed", "site"):
        s3.create_bucket(Bucket=bucket)
        if bucket != "closed":
            s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    s3.put_object(Bucket="closed", Key="key", Body=b"closed")
    s3.delete_public_access_block(Bucket="site")
    statements = [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::site/*"},
        {"Effect": "Allow", "Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::site"},
    ]
    s3.put_bucket_policy(Bucket="site", Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    site = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}}
    s3.put_bucket_website(Bucket="site", WebsiteConfiguration=site)
    for key, title in (("index.html", "A site"), ("folder/index.html", "A folder"), ("error.html", "Nothing here")):
        s3.put_object(Bucket="site", Key=key, Body=f"<h1>{title}</h1>\n".encode(), ContentType="text/html")


def page_for(s3: BaseClient, port: int) -> bytes:
    def presigned(operation: str, bucket: str, key: str, **more: Any) -> str:
        url: str = s3.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": key, **more})
        return url

    get, site = presigned("get_object", "photos", "key"), f"http://site.{DOMAIN}:{port}"
    urls = {
        "put": presigned("put_object", "photos", "key", Metadata={"from": "page"}),
        "get": get,
        "absent": presigned("get_object", "photos", "absent"),
        "forged": get.replace("X-Amz-Signature=", "X-Amz-Signature=0")[:-1],
        "delete": presigned("delete_object", "photos", "key"),
        "closed": presigned("get_object", "closed", "key"),
        "site": site + "/",
        "folder": site + "/folder",
        "missing": site + "/missing",
    }
    return f"<!doctype html><title>page</title><script>{SCRIPT}run({json.dumps(urls)})</script>".encode()


def main() -> int:
    parser = argparse.ArgumentParser(description="A real browser against a real gateway.")
    parser.add_argument("--browser", default=os.environ.get("CHROMIUM", "chromium"), help="the program")
    parser.add_argument("--screenshot", type=Path, help="where to keep a picture of the website")
    options = parser.parse_args()
    with running_gateway("--website-domain", DOMAIN) as gateway, pages() as server:
        s3 = client_of(gateway)
        prepare(s3, server.origin)
        server.page = page_for(s3, gateway.port)
        with browser(options.browser, server.origin):
            told = server.told.get(timeout=SECONDS)
        if options.screenshot:
            screenshot(options.browser, f"http://site.{DOMAIN}:{gateway.port}/", options.screenshot)
    failed = 0
    for name, expected in EXPECTED.items():
        found = told.get(name)
        failed += found != expected
        print(f"{name:12} {'ok' if found == expected else f'FAILED: {found!r}, expected {expected!r}'}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
