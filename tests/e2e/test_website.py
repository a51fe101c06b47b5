"""Static websites, as a browser visits them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.e2e.harness import Server, refused, unique

DOMAIN = "s3-website.localhost"
INDEX = {"IndexDocument": {"Suffix": "index.html"}}
ERROR = {"ErrorDocument": {"Key": "error.html"}}


class Page:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def location(self) -> str:
        return self.headers["location"]


Visit = Callable[..., Page]


@pytest.fixture
def site(server: Server, s3: BaseClient) -> str:
    """A bucket that everybody may list and read."""
    name = unique("site")
    s3.create_bucket(Bucket=name)
    s3.delete_public_access_block(Bucket=name)
    allow(s3, name, "s3:ListBucket", "s3:GetObject")
    s3.put_bucket_website(Bucket=name, WebsiteConfiguration=INDEX)
    return name


@pytest.fixture
def visit(server: Server, site: str) -> Visit:
    """Asks for a path of the site, as it stands."""

    def ask(path: str, method: str = "GET", host: str | None = None, body: bytes | None = None, **headers: str) -> Page:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        named = {"host": host or f"{site}.{DOMAIN}:{server.port}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            return Page(connection.getresponse())
        finally:
            connection.close()

    return ask


def allow(s3: BaseClient, bucket: str, *actions: str, keys: str = "*") -> None:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{keys}"]
    statements = [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": action,
            "Resource": resources["Object" in action],
        }
        for action in actions
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))


def put(s3: BaseClient, bucket: str, key: str, body: str = "", **more: Any) -> Any:
    return s3.put_object(Bucket=bucket, Key=key, Body=body.encode(), **{"ContentType": "text/html", **more})


def configure(s3: BaseClient, bucket: str, **more: Any) -> None:
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration={**INDEX, **more})


def page(title: str, *facts: str, nested: tuple[str, ...] = ()) -> list[str]:
    """The lines of an error page but those of the request's own ids."""
    lines = ["<html>", f"<head><title>{title}</title></head>", "<body>", f"<h1>{title}</h1>", "<ul>"]
    lines += [f"<li>{fact}</li>" for fact in facts] + ["</ul>"]
    if nested:
        lines.append("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>")
        lines += ["<ul>", *(f"<li>{fact}</li>" for fact in nested), "</ul>"]
    return [*lines, "<hr/>", "</body>", "</html>"]


def lines_of(answer: Page) -> list[str]:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    lines = answer.body.decode().splitlines()
    ids = [line for line in lines if line.startswith(("<li>RequestId: ", "<li>HostId: "))]
    assert len(ids) == 2
    return [line for line in lines if line not in ids]


NO_KEY = ("Code: NoSuchKey", "Message: The specified key does not exist.")


# -- the configuration


def test_a_configuration_is_kept_as_it_was_put(s3: BaseClient, bucket: str) -> None:
    with refused("NoSuchWebsiteConfiguration", 404) as seen:
        s3.get_bucket_website(Bucket=bucket)
    assert seen[0].response["Error"]["Message"] == "The specified bucket does not have a website configuration"
    assert seen[0].response["Error"]["BucketName"] == bucket
    rules = [
        {"Condition": {"KeyPrefixEquals": "a/"}, "Redirect": {"ReplaceKeyPrefixWith": ""}},
        {
            "Condition": {"KeyPrefixEquals": "b", "HttpErrorCodeReturnedEquals": "404"},
            "Redirect": {"HostName": "example.com", "Protocol": "https", "ReplaceKeyWith": "k"},
        },
        {"Redirect": {"HttpRedirectCode": "307"}},
    ]
    for site in ({**INDEX}, {**INDEX, **ERROR, "RoutingRules": rules}, {"RedirectAllRequestsTo": {"HostName": "h"}}):
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=site)
        answer = s3.get_bucket_website(Bucket=bucket)
        del answer["ResponseMetadata"]
        assert answer == site
    for _ in range(2):
        assert s3.delete_bucket_website(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("NoSuchWebsiteConfiguration", 404):
        s3.get_bucket_website(Bucket=bucket)


def rule(redirect: dict[str, Any], condition: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        **INDEX,
        "RoutingRules": [{"Redirect": redirect, **({} if condition is None else {"Condition": condition})}],
    }


PROTOCOL = (
    "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected automatically."
)


@pytest.mark.parametrize(
    ("site", "code", "message"),
    [
        ({"IndexDocument": {"Suffix": "/i.html"}}, "InvalidArgument", "The IndexDocument Suffix is not well formed"),
        ({"IndexDocument": {"Suffix": ""}}, "InvalidArgument", "The IndexDocument Suffix is not well formed"),
        (
            {"RedirectAllRequestsTo": {"HostName": "h"}, **INDEX},
            "InvalidArgument",
            "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
        ),
        (
            ERROR,
            "InvalidArgument",
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
        ),
        ({}, "InvalidArgument", None),
        ({"RedirectAllRequestsTo": {"HostName": ""}}, "InvalidRequest", None),
        ({"RedirectAllRequestsTo": {"HostName": "h", "Protocol": "ftp"}}, "InvalidRequest", PROTOCOL),
        (rule({"Protocol": "javascript"}), "InvalidRequest", PROTOCOL),
        (
            rule({"ReplaceKeyPrefixWith": "a", "ReplaceKeyWith": "b"}),
            "InvalidRequest",
            "You can only define ReplaceKeyPrefix or ReplaceKey but not both.",
        ),
        (
            rule({"ReplaceKeyWith": "b"}, {}),
            "InvalidRequest",
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't "
            "be present.",
        ),
        (
            rule({"HttpRedirectCode": "200"}),
            "InvalidRequest",
            "The provided HTTP redirect code (200) is not valid. Valid codes are 3XX except 300.",
        ),
        (
            rule({"ReplaceKeyWith": "b"}, {"HttpErrorCodeReturnedEquals": "301"}),
            "InvalidRequest",
            "The provided HTTP error code (301) is not valid. Valid codes are 4XX or 5XX.",
        ),
        (rule({"HttpRedirectCode": "x"}), "MalformedXML", None),
        (rule({}), "MalformedXML", None),
        ({**INDEX, "RoutingRules": []}, "MalformedXML", None),
        (
            {**INDEX, "RoutingRules": [{"Redirect": {"ReplaceKeyWith": "k"}}] * 51},
            "InvalidRequest",
            "51 routing rules provided, the number of routing rules in a website configuration is limited to 50.",
        ),
        (rule({"ReplaceKeyWith": "k" * 140_000}), "MaxMessageLengthExceeded", None),
    ],
)
def test_bad_configurations_are_refused(
    s3: BaseClient, bucket: str, site: dict[str, Any], code: str, message: str | None
) -> None:
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=INDEX)
    with refused(code, 400) as seen:
        s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=site)
    if message is not None:
        assert seen[0].response["Error"]["Message"] == message
    assert s3.get_bucket_website(Bucket=bucket)["IndexDocument"] == {"Suffix": "index.html"}


def test_only_who_may_changes_a_site(server: Server, s3: BaseClient, site: str) -> None:
    other = server.s3(server.user("site-other"))
    for attempt in (other.get_bucket_website, other.delete_bucket_website):
        with refused("AccessDenied", 403):
            attempt(Bucket=site)
    with refused("AccessDenied", 403):
        other.put_bucket_website(Bucket=site, WebsiteConfiguration=INDEX)
    other.close()


# -- what is served


def test_documents_come_as_they_are_kept(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "index.html", "<h1>Hi</h1>")
    body = "x" * 300_000
    etag = put(
        s3,
        site,
        "a/b ü.js",
        body,
        ContentType="text/javascript; charset=utf-8",
        CacheControl="max-age=60",
        Metadata={"m": "1"},
    )["ETag"]
    answer = visit("/")
    assert (answer.status, answer.body) == (200, b"<h1>Hi</h1>")
    assert answer.headers["content-type"] == "text/html"
    path = "/a/b%20%C3%BC.js"
    answer = visit(path + "?v=3&torrent&versionId=1")
    assert (answer.status, answer.body, answer.headers["etag"]) == (200, body.encode(), etag)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["x-amz-meta-m"]) == ("max-age=60", "1")
    head = visit(path, "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "300000")
    part = visit(path, range="bytes=2-5")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"xxxx", "bytes 2-5/300000")
    unchanged = visit(path, if_none_match=etag)
    assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", etag)
    assert visit(path, if_modified_since=answer.headers["last-modified"]).status == 304
    assert visit(path, if_match='"other"').status == 412
    assert visit(path, range="bytes=900000-").status == 416


def test_folders_have_index_documents(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "docs/index.html", "docs")
    put(s3, site, "both", "file")
    put(s3, site, "both/index.html", "folder")
    assert visit("/docs/").body == b"docs"
    assert (visit("/both").body, visit("/both/").body) == (b"file", b"folder")
    answer = visit("/docs")
    assert (answer.status, answer.location) == (302, "/docs/")
    assert lines_of(answer) == page("302 Found", "Code: Found", "Message: Resource Found")
    assert answer.headers["x-amz-error-code"] == "Found"
    assert lines_of(visit("/none")) == page("404 Not Found", *NO_KEY, "Key: none")
    assert lines_of(visit("/none/")) == page("404 Not Found", *NO_KEY, "Key: none/index.html")
    # Whatever the path, the answer stays on this host.
    put(s3, site, "/evil.org/index.html", "mine")
    assert visit("//evil.org").location == "/%2Fevil.org/"
    assert visit("/%2Fevil.org/").body == b"mine"
    assert visit("/../docs/").status == 404
    assert visit("/%2e%2e/docs/index.html").status == 404
    answer = visit("/%FF")
    assert (answer.status, lines_of(answer)[5]) == (400, "<li>Code: InvalidURI</li>")


def test_errors_are_pages(s3: BaseClient, site: str, visit: Visit, server: Server) -> None:
    answer = visit("/")
    assert answer.status == 404
    assert lines_of(answer) == page("404 Not Found", *NO_KEY, "Key: index.html")
    assert answer.headers["x-amz-error-code"] == "NoSuchKey"
    assert answer.headers["x-amz-error-message"] == "The specified key does not exist."
    assert answer.headers["x-amz-error-detail-key"] == "index.html"
    head = visit("/", "HEAD")
    assert (head.status, head.body, head.headers["x-amz-error-code"]) == (404, b"", "NoSuchKey")
    answer = visit("/%3Cscript%3E%22'&")
    assert lines_of(answer)[7] == "<li>Key: &lt;script&gt;&quot;&#x27;&amp;</li>"
    assert b"<script>" not in visit("/%0D%0Ax:%20%3Cscript%3E").body

    facts = "Code: NoSuchBucket", "Message: The specified bucket does not exist", "BucketName: no-such-bucket"
    assert lines_of(visit("/", host=f"no-such-bucket.{DOMAIN}")) == page("404 Not Found", *facts)
    s3.delete_bucket_website(Bucket=site)
    message = "Message: The specified bucket does not have a website configuration"
    expected = page("404 Not Found", "Code: NoSuchWebsiteConfiguration", message, f"BucketName: {site}")
    assert lines_of(visit("/a")) == expected


def test_other_methods_are_not_allowed(s3: BaseClient, site: str, visit: Visit) -> None:
    configure(s3, site, **ERROR)
    put(s3, site, "error.html", "error")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = visit("/key", method, body=b"x" * 100)
        assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"
        facts = "Code: MethodNotAllowed", "Message: The specified method is not allowed against this resource."
        assert lines_of(answer) == page("405 Method Not Allowed", *facts, f"Method: {method}", "ResourceType: OBJECT")
    with refused("404"):
        s3.head_object(Bucket=site, Key="key")


def test_the_sites_own_error_document(s3: BaseClient, site: str, visit: Visit) -> None:
    configure(s3, site, **ERROR)
    answer = visit("/none")
    nested = (*NO_KEY, "Key: error.html")
    assert lines_of(answer) == page("404 Not Found", *NO_KEY, "Key: none", nested=nested)
    etag = put(s3, site, "error.html", "so sorry")["ETag"]
    for headers in ({}, {"if_none_match": etag}, {"range": "bytes=0-1"}):
        answer = visit("/none", **headers)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (404, b"so sorry", "text/html")
        assert answer.headers["x-amz-error-code"] == "NoSuchKey"
    assert visit("/none", "HEAD").status == 404
    put(s3, site, "key", "key")
    assert (visit("/key", range="bytes=9-").status, visit("/key", range="bytes=9-").body) == (416, b"so sorry")
    put(s3, site, "error.html", WebsiteRedirectLocation="/elsewhere")
    assert (visit("/none").status, visit("/none").location) == (301, "/elsewhere")


def test_visitors_see_what_anybody_may_read(server: Server, s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "public/index.html", "public")
    put(s3, site, "secret/index.html", "secret")
    put(s3, site, "secret/moved", WebsiteRedirectLocation="/public/")
    allow(s3, site, "s3:GetObject", keys="public/*")
    denied = "Code: AccessDenied", "Message: Access Denied"
    assert visit("/public/").body == b"public"
    # Without leave to list, what is absent is denied as well; a folder still shows where its index is.
    for path in ("/secret/", "/secret", "/secret/moved", "/none", "/"):
        answer = visit(path)
        assert answer.status == 403, path
        assert lines_of(answer) == page("403 Forbidden", *denied)
    # The key "public" itself may not be read; there is none, but there is a folder to be seen.
    assert (visit("/public").status, visit("/public").location) == (302, "/public/")
    put(s3, site, "public", "the file")
    assert visit("/public").status == 403
    # No credentials are taken here, good or bad.
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": site, "Key": "secret/index.html"})
    query = signed.partition("?")[2]
    assert visit(f"/secret/index.html?{query}").status == 403
    assert visit("/public/", authorization="AWS4-HMAC-SHA256 nonsense").status == 200

    configure(s3, site, **ERROR)
    put(s3, site, "error.html", "error")
    assert lines_of(visit("/secret/")) == page("403 Forbidden", *denied, nested=denied)
    configure(s3, site, ErrorDocument={"Key": "public/index.html"})
    assert (visit("/secret/").status, visit("/secret/").body) == (403, b"public")

    s3.put_public_access_block(Bucket=site, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert visit("/public/").status == 403


def test_acls_let_visitors_in_too(s3: BaseClient, visit: Visit, server: Server) -> None:
    name = unique("acl-site")
    s3.create_bucket(Bucket=name, ObjectOwnership="ObjectWriter")
    s3.delete_public_access_block(Bucket=name)
    s3.put_bucket_website(Bucket=name, WebsiteConfiguration=INDEX)
    put(s3, name, "index.html", "open", ACL="public-read")
    put(s3, name, "closed.html", "closed")
    assert visit("/", host=f"{name}.{DOMAIN}").body == b"open"
    assert visit("/closed.html", host=f"{name}.{DOMAIN}").status == 403


def test_a_bucket_whose_requesters_pay_is_no_site(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "index.html", "index")
    s3.put_bucket_request_payment(Bucket=site, RequestPaymentConfiguration={"Payer": "Requester"})
    assert visit("/", x_amz_request_payer="requester").status == 403


# -- redirects


def test_objects_that_redirect(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "old", "big" * 100_000, WebsiteRedirectLocation="/new page?x=1#y")
    put(s3, site, "away", WebsiteRedirectLocation="https://example.com/a")
    for method in ("GET", "HEAD"):
        answer = visit("/old", method)
        assert (answer.status, answer.body, answer.location) == (301, b"", "/new%20page?x=1#y")
        assert visit("/away", method).location == "https://example.com/a"
    with refused("InvalidRedirectLocation", 400) as seen:
        put(s3, site, "wrong", WebsiteRedirectLocation="javascript:alert(1)")
    assert seen[0].response["Error"]["Message"].startswith("The website redirect location must have a prefix of ")
    with refused("InvalidRedirectLocation", 400):
        put(s3, site, "wrong", WebsiteRedirectLocation="/" + "x" * 2048)
    # The REST endpoint shows the object.
    assert s3.get_object(Bucket=site, Key="away")["WebsiteRedirectLocation"] == "https://example.com/a"


def test_everything_goes_elsewhere(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "index.html", "never seen")

    def location(path: str, **to: str) -> str:
        s3.put_bucket_website(Bucket=site, WebsiteConfiguration={"RedirectAllRequestsTo": to})
        answer = visit(path)
        assert (answer.status, answer.body) == (301, b"")
        return answer.location

    assert location("/", HostName="example.com") == "http://example.com/"
    assert location("/a/b?c=d", HostName="example.com", Protocol="https") == "https://example.com/a/b?c=d"
    assert location("//evil.org", HostName="example.com") == "http://example.com//evil.org"
    assert location("/%0D%0Ax", HostName="example.com") == "http://example.com/%0D%0Ax"


def test_routing_rules(s3: BaseClient, site: str, visit: Visit, server: Server) -> None:
    here = f"http://{site}.{DOMAIN}:{server.port}/"
    rules = [
        ({"KeyPrefixEquals": "both/", "HttpErrorCodeReturnedEquals": "404"}, {"ReplaceKeyWith": "both.html"}),
        ({"KeyPrefixEquals": "host/"}, {"HostName": "example.com"}),
        ({"KeyPrefixEquals": "docs/"}, {"ReplaceKeyPrefixWith": "documents/"}),
        ({"KeyPrefixEquals": "gone/"}, {"ReplaceKeyPrefixWith": ""}),
        ({"KeyPrefixEquals": "tls/"}, {"Protocol": "https", "HttpRedirectCode": "307"}),
        ({"KeyPrefixEquals": "index"}, {"ReplaceKeyWith": "never.html"}),
        ({"HttpErrorCodeReturnedEquals": "404"}, {"ReplaceKeyPrefixWith": "#!/", "HttpRedirectCode": "302"}),
        ({"HttpErrorCodeReturnedEquals": "416"}, {"HostName": "ranges.example.com"}),
    ]
    configure(
        s3,
        site,
        **ERROR,
        RoutingRules=[{"Condition": condition, "Redirect": redirect} for condition, redirect in rules],
    )
    for key in ("index.html", "error.html", "both/here", "real/index.html"):
        put(s3, site, key, key)
    put(s3, site, "docs/here", WebsiteRedirectLocation="/moved")
    moved = {
        "/both/none": (301, here + "both.html"),
        "/both/": (301, here + "both.html"),
        "/host/a?b=c": (301, "http://example.com/host/a?b=c"),
        "/docs/here": (301, here + "documents/here"),
        "/gone/x%20y": (301, here + "x%20y"),
        "/tls/a": (307, here.replace("http:", "https:") + "tls/a"),
        "/index.html": (301, here + "never.html"),
        "/users/1": (302, here + "#!/users/1"),
        "/real": (302, "/real/"),
    }
    for path, expected in moved.items():
        answer = visit(path)
        assert (answer.status, answer.location) == expected, path
    # An index document that was not asked for by its name is no prefix's.
    assert (visit("/").status, visit("/").body) == (200, b"index.html")
    assert visit("/both/here").body == b"both/here"
    assert visit("/both/here", range="bytes=100-").location == "http://ranges.example.com/both/here"
    assert visit("/both/here", if_match='"x"').status == 412


# -- beside the site


def test_pages_of_other_origins_are_let_in_by_rules(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "index.html", "index")
    origin = {"origin": "https://example.com"}
    assert "access-control-allow-origin" not in visit("/", **origin).headers
    answer = visit("/", "OPTIONS", access_control_request_method="GET", **origin)
    assert answer.status == 403
    message = "Message: CORSResponse: CORS is not enabled for this bucket."
    assert lines_of(answer) == page(
        "403 Forbidden", "Code: AccessForbidden", message, "Method: GET", "ResourceType: BUCKET"
    )
    rule = {"AllowedOrigins": ["https://*"], "AllowedMethods": ["GET"]}
    s3.put_bucket_cors(Bucket=site, CORSConfiguration={"CORSRules": [rule]})
    for path, status in (("/", 200), ("/none", 404)):
        answer = visit(path, **origin)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == "https://example.com"
    answer = visit("/", "OPTIONS", access_control_request_method="GET", **origin)
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (200, "GET")
    assert visit("/", "OPTIONS").status == 400


def test_the_rest_endpoint_stays_as_it_is(server: Server, s3: BaseClient, site: str, visit: Visit) -> None:
    configure(s3, site, **ERROR, RoutingRules=[{"Redirect": {"HostName": "example.com"}}])
    put(s3, site, "error.html", "error")
    for path, host in ((f"/{site}/none", f"127.0.0.1:{server.port}"), ("/none", f"{site}.localhost")):
        answer = visit(path, host=host)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/xml")
        assert b"<Code>NoSuchKey</Code>" in answer.body


def test_a_site_has_every_path_to_itself(s3: BaseClient, site: str, visit: Visit) -> None:
    """The gateway's own health check and calls are no pages of a site."""
    for key in ("health", "api/nfs/status", "api/auth/whoami"):
        put(s3, site, key, f"page {key}")
        assert visit(f"/{key}").body == f"page {key}".encode()
    assert visit("/api/nfs/list", "POST", body=b"{}").status == 405
    assert visit("/HEALTH").status == 404


def test_hosts_are_read_in_any_case(s3: BaseClient, site: str, visit: Visit) -> None:
    put(s3, site, "index.html", "index")
    for host in (f"{site.upper()}.S3-Website.LocalHost", f"{site}.{DOMAIN}:80", f"{site}.{DOMAIN}"):
        assert visit("/", host=host).body == b"index"
    assert visit("/", host=DOMAIN).status != 200
