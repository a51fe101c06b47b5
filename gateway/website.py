"""Static websites: what a bucket's configuration makes of a path. Pure values.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteHosting.html
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

_IN_PATH = "/!$&'()*+,;=:@~"
"""What a key keeps in a URL besides letters, digits and ``-._``."""
_IN_URL = _IN_PATH + "%?#[]"
"""The same for what a site's owner wrote, who may mean a query or a fragment by it."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where a request is sent to. What is None stays as the request has it."""

    host: str | None = None
    protocol: str | None = None
    replace_key: str | None = None
    replace_prefix: str | None = None
    code: int | None = None

    @property
    def status(self) -> int:
        return self.code or 301

    def location(self, origin: Origin, key: str, prefix: str = "") -> str:
        """The URL for a request of ``key``, which begins with the ``prefix`` that is replaced, if any is."""
        if self.replace_key is not None:
            path = quote(self.replace_key, safe=_IN_URL)
        elif self.replace_prefix is not None:
            path = quote(self.replace_prefix, safe=_IN_URL) + path_of(key[len(prefix) :])
        else:
            path = path_of(key)
        if origin.query:
            path += ("&" if "?" in path else "?") + quote(origin.query, safe=_IN_URL)
        host = quote(self.host, safe=_IN_URL) if self.host is not None else origin.host
        return f"{self.protocol or origin.protocol}://{host}/{path}"


@dataclass(frozen=True, slots=True)
class Origin:
    """How a request came."""

    protocol: str
    host: str
    """With the port."""
    query: str = ""
    """As it was sent."""


@dataclass(frozen=True, slots=True)
class RoutingRule:
    """A redirect of what begins with ``prefix``, or of what fails with the status ``error``, or of what does both."""

    redirect: Redirect
    prefix: str | None = None
    error: int | None = None

    def location(self, origin: Origin, key: str) -> str:
        return self.redirect.location(origin, key, self.prefix or "")


@dataclass(frozen=True, slots=True)
class Website:
    """The configuration of a bucket's website."""

    index: str = ""
    """What a path that ends in a slash, or is empty, stands for: the document of this name there."""
    error_key: str | None = None
    """The document that is shown in place of an error."""
    redirect_all: Redirect | None = None
    """Nothing is served, everything is sent elsewhere."""
    rules: tuple[RoutingRule, ...] = ()

    def key_of(self, key: str) -> str:
        """The key of the document that a path means."""
        return key + self.index if not key or key.endswith("/") else key

    def rule_before(self, key: str) -> RoutingRule | None:
        """The first rule that sends a path elsewhere whatever is there."""
        return next(
            (rule for rule in self.rules if rule.error is None and key.startswith(rule.prefix or "")),
            None,
        )

    def rule_after(self, key: str, status: int) -> RoutingRule | None:
        """The first rule for a path that failed."""
        return next(
            (rule for rule in self.rules if rule.error == status and key.startswith(rule.prefix or "")),
            None,
        )

    def dump(self) -> str:
        return json.dumps(asdict(self))


def load(text: str) -> Website:
    told: dict[str, Any] = json.loads(text)
    everything = told["redirect_all"]
    return Website(
        told["index"],
        told["error_key"],
        Redirect(**everything) if everything is not None else None,
        tuple(RoutingRule(Redirect(**rule["redirect"]), rule["prefix"], rule["error"]) for rule in told["rules"]),
    )


def path_of(key: str) -> str:
    """A key in a URL."""
    return quote(key, safe=_IN_PATH)


def folder_location(key: str) -> str:
    """The path of the folder ``key``. It never reads as another host's: a second slash at its start is escaped."""
    name = key.lstrip("/")
    return "/" + "%2F" * (len(key) - len(name)) + path_of(name) + "/"


def stored_location(value: str) -> str:
    """A redirect that an object carries, fit for a header."""
    return quote(value, safe=_IN_URL)
