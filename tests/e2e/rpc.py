"""Calls of the Nexus door as a client puts them on the wire."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import httpx

from tests.e2e.harness import Key, Server

NOT_FOUND, EXISTS, INVALID_PATH, ACCESS_DENIED, FORBIDDEN = -32000, -32001, -32002, -32003, -32004
VALIDATION, CONFLICT, NO_METHOD, BAD_PARAMETERS, INVALID_REQUEST, PARSE = -32005, -32006, -32601, -32602, -32600, -32700


def blob(content: bytes) -> dict[str, str]:
    return {"__type__": "bytes", "data": base64.b64encode(content).decode()}


def unblob(value: Any) -> bytes:
    assert value.keys() == {"__type__", "data"} and value["__type__"] == "bytes", value
    return base64.b64decode(value["data"], validate=True)


class Rpc:
    """One caller. Answers are as they come, bytes not unwrapped."""

    def __init__(self, server: Server, key: Key | None = None) -> None:
        self.url = server.url
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {(key or server.admin).api_key}"}, timeout=60, trust_env=False
        )

    def close(self) -> None:
        self._http.close()

    def answer(self, method: str, **params: Any) -> dict[str, Any]:
        call_id = str(uuid.uuid4())
        call = {"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}
        answer = self.raw(method, json=call)
        # A call that was refused unread has no id that could be told.
        assert answer["jsonrpc"] == "2.0" and answer["id"] in ((call_id, None) if "error" in answer else (call_id,))
        return answer

    def raw(self, method: str, **request: Any) -> dict[str, Any]:
        response = self._http.post(f"{self.url}/api/nfs/{method}", **request)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def __call__(self, method: str, **params: Any) -> Any:
        answer = self.answer(method, **params)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def refused(self, code: int, method: str, **params: Any) -> dict[str, Any]:
        answer = self.answer(method, **params)
        assert "result" not in answer, answer
        error: dict[str, Any] = answer["error"]
        assert error["code"] == code, error
        return error

    def write(self, path: str, content: bytes = b"", **params: Any) -> dict[str, Any]:
        result: dict[str, Any] = self("write", path=path, content=blob(content), **params)
        return result

    def read(self, path: str) -> bytes:
        return unblob(self("read", path=path))
