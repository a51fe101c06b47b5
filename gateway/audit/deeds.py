"""What an action is, before it is written down: who did what, from where, to what."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from gateway.audit.masking import shown, shown_parameters
from gateway.errors import GatewayError
from gateway.types import Principal

DONE, REFUSED, FAILED = "done", "refused", "failed"
MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Deed:
    """An action, as it came in."""

    action: str
    user: str | None
    key: str | None
    tenant: str | None
    peer: str
    """The address that it came from; ``machine`` for what was done with the data directory itself."""
    request: str
    target: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def entry(self, outcome: str, error: str | None = None, secret: Set[str] = frozenset()) -> dict[str, Any]:
        """What is written of it, without its number and time, and without parameters called ``secret``."""
        return {
            "action": self.action,
            "user": self.user,
            "key": self.key,
            "tenant": self.tenant,
            "peer": self.peer,
            "request": self.request,
            "target": None if self.target is None else shown("target", self.target),
            "parameters": shown_parameters(self.parameters, secret),
            "outcome": outcome,
            "error": None if error is None else shown("error", error),
        }


def by(
    principal: Principal | None,
    action: str,
    *,
    peer: str,
    request: str,
    target: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Deed:
    """An action of somebody who called."""
    user, key, tenant = (principal.user_id, principal.key_id, principal.tenant) if principal else (None, None, None)
    return Deed(action, user, key, tenant, peer, request, target, parameters or {})


def by_machine(action: str, target: str | None = None, parameters: Mapping[str, Any] | None = None) -> Deed:
    """An action of whoever runs a command on the machine itself."""
    account = os.getuid()
    try:
        name = pwd.getpwuid(account).pw_name
    except KeyError:
        name = str(account)
    return Deed(action, f"{MACHINE}:{name}", None, None, MACHINE, f"pid-{os.getpid()}", target, parameters or {})


def judged(error: Exception) -> tuple[bool, str]:
    """What to write of an error of an action of the machine's."""
    return False, str(error) if isinstance(error, GatewayError) else type(error).__name__
