"""Whom a statement is about: ``"*"``, ``{"AWS": …}``, ``{"CanonicalUser": …}``, ``{"Service": …}``.

A user of the gateway is ``arn:aws:iam::TENANT:user/NAME``; ``TENANT``, or ``arn:aws:iam::TENANT:root``, is every user
of a tenant. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ARN = re.compile(r"arn:aws:iam::(?P<account>[a-z0-9-]*):(?:(?P<root>root)|user/(?P<user>[A-Za-z0-9._@+=,/-]+))")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_CANONICAL = re.compile(r"[0-9a-f]{64}")
SERVICES = frozenset({"logging.s3.amazonaws.com"})
"""Services that act on buckets here."""


class BadPrincipal(ValueError):
    """A principal that is none."""


@dataclass(frozen=True, slots=True)
class Principals:
    """The principals of a statement."""

    anybody: bool = False
    accounts: frozenset[str] = frozenset()
    users: frozenset[tuple[str, str]] = frozenset()
    """Account and name; an empty account is any."""
    canonical: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def include(self, account: str | None, user: str | None, canonical_id: str | None, service: str | None) -> bool:
        """Whether a caller is among them. A caller nobody knows has none of these."""
        if self.anybody:
            return True
        if service is not None:
            return service in self.services
        if account is None or user is None:
            return False
        return (
            account in self.accounts
            or (account, user) in self.users
            or ("", user) in self.users
            or canonical_id in self.canonical
        )


def compile_principals(value: object) -> Principals:
    """Raises BadPrincipal."""
    if value == "*":
        return Principals(anybody=True)
    if not isinstance(value, dict) or not value:
        raise BadPrincipal
    anybody = False
    accounts, users, canonical, services = set[str](), set[tuple[str, str]](), set[str](), set[str]()
    for kind, names in value.items():
        for name in _texts(names):
            if kind == "AWS" and name == "*":
                anybody = True
            elif kind == "AWS" and (found := _ARN.fullmatch(name)):
                if found["root"]:
                    accounts.add(found["account"])
                else:
                    users.add((found["account"], found["user"].rpartition("/")[2]))
            elif kind == "AWS" and _ACCOUNT.fullmatch(name):
                accounts.add(name)
            elif kind == "CanonicalUser" and _CANONICAL.fullmatch(name):
                canonical.add(name)
            elif kind == "Service" and name in SERVICES:
                services.add(name)
            else:
                raise BadPrincipal
    return Principals(anybody, frozenset(accounts), frozenset(users), frozenset(canonical), frozenset(services))


def _texts(value: object) -> Iterable[str]:
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise BadPrincipal
    for text in texts:
        if not isinstance(text, str):
            raise BadPrincipal
        yield text
