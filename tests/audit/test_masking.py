"""What is kept of parameters, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.audit.masking import MASK, shown, shown_parameters

SECRET = "hush-hush"


@pytest.mark.parametrize(
    "name",
    [
        *("secret_access_key", "session_token", "account_key", "connection_string", "sas", "password", "api_key"),
        *("private_key", "SSECustomerKey", "SecretAccessKey", "dsn", "passphrase", "credentials_json"),
    ],
)
def test_secrets_are_masked_by_their_names(name: str) -> None:
    assert shown_parameters({"backend_config": {name: SECRET}, "list": [{name: SECRET}]}) == {
        "backend_config": {name: MASK},
        "list": [{name: MASK}],
    }


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("bucket", "my-bucket", "my-bucket"),
        ("credentials_path", "/etc/key.json", "/etc/key.json"),
        ("access_key_id", "AKIA", "AKIA"),
        ("key_id", "NXABC", "NXABC"),
        ("url", f"https://user:{SECRET}@host/x", f"https://{MASK}@host/x"),
        ("content", SECRET.encode(), "9 bytes"),
        ("readonly", True, True),
        ("half", "\ud800", "?"),
        ("token", None, None),
    ],
)
def test_the_rest_is_kept(name: str, value: Any, kept: Any) -> None:
    assert shown(name, value) == kept


def test_very_much_is_cut() -> None:
    assert len(shown("policy", "x" * 100_000)) < 2200
    deep: Any = []
    for _ in range(50):
        deep = [deep]
    assert "…" in str(shown("deep", deep))
    assert shown_parameters({"many": [{"text": "x" * 2000}] * 99}) == {"many": "…"}
