"""What the gateway needs of Vault's transit engine: keys, encrypt and decrypt with associated data."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "s.token"
KEY = "payroll"


class Vault(ThreadingHTTPServer):
    """A Vault with one key; ``broken`` while it is out of order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Transit)
        self.keys = {KEY: AESGCM(secrets.token_bytes(32))}
        self.broken = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running_vault() -> Iterator[Vault]:
    service = Vault()
    threading.Thread(target=service.serve_forever, daemon=True).start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()


class _Transit(BaseHTTPRequestHandler):
    server: Vault

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        bound = base64.b64decode(asked["associated_data"])
        key = self.server.keys.get(self.path.rpartition("/")[2])
        if key is None:
            self._answer({})
        elif "/encrypt/" in self.path:
            nonce = secrets.token_bytes(12)
            sealed = nonce + key.encrypt(nonce, base64.b64decode(asked["plaintext"]), bound)
            self._answer({"ciphertext": "vault:v1:" + base64.b64encode(sealed).decode()})
        else:
            try:
                sealed = base64.b64decode(asked["ciphertext"].removeprefix("vault:v1:"), validate=True)
                plain = key.decrypt(sealed[:12], sealed[12:], bound)
            except (InvalidTag, binascii.Error, ValueError):
                self._send(400, {"errors": ["cipher: message authentication failed"]})
                return
            self._answer({"plaintext": base64.b64encode(plain).decode()})

    def _answer(self, data: dict[str, str]) -> None:
        if self.server.broken:
            self._send(503, {"errors": ["Vault is sealed"]})
        elif self.headers.get("X-Vault-Token") != TOKEN:
            self._send(403, {"errors": ["permission denied"]})
        elif self.path.rpartition("/")[2] not in self.server.keys:
            self._send(404, {"errors": []})
        else:
            self._send(200, {"data": data})

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return
