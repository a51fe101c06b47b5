"""A bucket's website; ``gateway.s3.website_door`` serves it.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketWebsite.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.bucket_configs import WEBSITE
from gateway.s3.call import Call
from gateway.s3.errors import (
    InvalidArgument,
    InvalidRequest,
    MalformedXML,
    MaxMessageLengthExceeded,
    NoSuchWebsiteConfiguration,
)
from gateway.s3.operations.opening import open_bucket
from gateway.s3.operations.registry import operation
from gateway.website import Redirect, RoutingRule, Website, load

MAX_RULES, MAX_BYTES = 50, 128 * 1024
REDIRECTS = frozenset({301, 302, 303, 304, 305, 307, 308})
ERRORS = frozenset({*range(400, 418), *range(500, 506)})


@operation
async def put_bucket_website(
    call: Call,
    *,
    Bucket: str,
    WebsiteConfiguration: dict[str, Any] | None = None,
    ExpectedBucketOwner: str | None = None,
) -> dict[str, Any]:
    """Make the bucket a website, or change how it is one."""
    bucket = await open_bucket(call, "s3:PutBucketWebsite", Bucket, None, ExpectedBucketOwner)
    text = _website(WebsiteConfiguration or {}).dump()
    if len(text) > MAX_BYTES:
        raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(MAX_BYTES))
    await call.core.buckets.set_config(bucket, WEBSITE, text)
    return {}


@operation
async def get_bucket_website(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """How the bucket is a website."""
    bucket = await open_bucket(call, "s3:GetBucketWebsite", Bucket, None, ExpectedBucketOwner)
    website = bucket.config(WEBSITE, load)
    if website is None:
        raise NoSuchWebsiteConfiguration(BucketName=Bucket)
    return _shown(website)


@operation
async def delete_bucket_website(call: Call, *, Bucket: str, ExpectedBucketOwner: str | None = None) -> dict[str, Any]:
    """Serve the bucket as a website no more; it may not be one."""
    bucket = await open_bucket(call, "s3:DeleteBucketWebsite", Bucket, None, ExpectedBucketOwner)
    await call.core.buckets.set_config(bucket, WEBSITE, None)
    return {}


# -- in


def _website(told: Mapping[str, Any]) -> Website:
    """Raises InvalidArgument, InvalidRequest, MalformedXML."""
    everything, index = told.get("RedirectAllRequestsTo"), told.get("IndexDocument")
    error, rules = told.get("ErrorDocument"), told.get("RoutingRules")
    if everything is not None:
        if index is not None or error is not None or rules is not None:
            raise _argument(
                "RedirectAllRequestsTo cannot be provided in conjunction with other Routing Rules.",
                "RedirectAllRequestsTo",
                "not null",
            )
        if not everything["HostName"]:
            raise InvalidRequest('A host name must be provided to redirect all requests (e.g. "example.com").')
        return Website(redirect_all=Redirect(everything["HostName"], _protocol(everything)))
    if index is None:
        raise _argument(
            "A value for IndexDocument Suffix must be provided if RedirectAllRequestsTo is empty",
            "IndexDocument",
            "null",
        )
    suffix: str = index["Suffix"]
    if not suffix or "/" in suffix:
        raise _argument("The IndexDocument Suffix is not well formed", "IndexDocument", suffix)
    if error is not None and not error["Key"]:
        raise _argument("The ErrorDocument Key is not well formed", "ErrorDocument", "")
    return Website(suffix, error["Key"] if error is not None else None, None, _rules(rules))


def _argument(message: str, name: str, value: str) -> InvalidArgument:
    return InvalidArgument(message, ArgumentName=name, ArgumentValue=value)


def _rules(told: list[dict[str, Any]] | None) -> tuple[RoutingRule, ...]:
    if told is None:
        return ()
    if not told:
        raise MalformedXML
    if len(told) > MAX_RULES:
        raise InvalidRequest(
            f"{len(told)} routing rules provided, the number of routing rules in a website configuration is limited to "
            f"{MAX_RULES}."
        )
    return tuple(_rule(each) for each in told)


def _rule(told: Mapping[str, Any]) -> RoutingRule:
    redirect, condition = told["Redirect"], told.get("Condition")
    protocol = _protocol(redirect)
    key, prefix = redirect.get("ReplaceKeyWith"), redirect.get("ReplaceKeyPrefixWith")
    if key is not None and prefix is not None:
        raise InvalidRequest("You can only define ReplaceKeyPrefix or ReplaceKey but not both.")
    code = _code(redirect.get("HttpRedirectCode"), REDIRECTS, "redirect", "3XX except 300")
    target = Redirect(redirect.get("HostName") or None, protocol, key, prefix, code)
    if target == Redirect():
        raise MalformedXML
    if condition is None:
        return RoutingRule(target)
    if not condition:
        raise InvalidRequest(
            "Condition cannot be empty. To redirect all requests without a condition, the condition element shouldn't "
            "be present."
        )
    error = _code(condition.get("HttpErrorCodeReturnedEquals"), ERRORS, "error", "4XX or 5XX")
    return RoutingRule(target, condition.get("KeyPrefixEquals"), error)


def _protocol(told: Mapping[str, Any]) -> str | None:
    protocol: str | None = told.get("Protocol")
    if protocol not in (None, "http", "https"):
        raise InvalidRequest(
            "Invalid protocol, protocol can be http or https. If not defined the protocol will be selected "
            "automatically."
        )
    return protocol


def _code(text: str | None, valid: frozenset[int], kind: str, which: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise MalformedXML
    if int(text) not in valid:
        raise InvalidRequest(f"The provided HTTP {kind} code ({int(text)}) is not valid. Valid codes are {which}.")
    return int(text)


# -- out


def _shown(website: Website) -> dict[str, Any]:
    everything = website.redirect_all
    if everything is not None:
        return {"RedirectAllRequestsTo": {"HostName": everything.host, "Protocol": everything.protocol}}
    shown: dict[str, Any] = {"IndexDocument": {"Suffix": website.index}}
    if website.error_key is not None:
        shown["ErrorDocument"] = {"Key": website.error_key}
    if website.rules:
        shown["RoutingRules"] = [_shown_rule(rule) for rule in website.rules]
    return shown


def _shown_rule(rule: RoutingRule) -> dict[str, Any]:
    redirect = rule.redirect
    shown: dict[str, Any] = {
        "Redirect": {
            "HostName": redirect.host,
            "HttpRedirectCode": str(redirect.code) if redirect.code is not None else None,
            "Protocol": redirect.protocol,
            "ReplaceKeyPrefixWith": redirect.replace_prefix,
            "ReplaceKeyWith": redirect.replace_key,
        }
    }
    if rule.prefix is not None or rule.error is not None:
        shown["Condition"] = {
            "HttpErrorCodeReturnedEquals": str(rule.error) if rule.error is not None else None,
            "KeyPrefixEquals": rule.prefix,
        }
    return shown
