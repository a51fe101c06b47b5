"""Secrets that are kept elsewhere than in what names them: in a file, in the environment, on standard input.

On a command line and in a file of mounts a secret would be seen by others; so either may say where it is instead.
"""

from __future__ import annotations

import os
from pathlib import Path

LARGEST = 64 * 1024


class BadSecret(Exception):
    """A secret cannot be had; the message says why, and nothing of it."""


def from_file(path: Path) -> str:
    """The content of a file, without the end of its last line."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise BadSecret(f"{path} cannot be read: {error.strerror}") from None
    return from_bytes(content, str(path))


def from_bytes(content: bytes, where: str) -> str:
    if len(content) > LARGEST:
        raise BadSecret(f"{where} is too large for a setting")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadSecret(f"{where} is not text") from None
    return text.removesuffix("\n").removesuffix("\r")


def from_environment(name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        raise BadSecret(f"the environment has no {name}")
    return value
