"""boto3, with the C library that signs and hashes (awscrt) and without."""

from __future__ import annotations

from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import Pip, Shared, Tool

DOES = (
    "transfer manager, both ways and between keys, both addressing styles; checksums, ranges, metadata, special keys, "
    "presigned URLs, pages, waiters, 16 writers of which one may be first, If-Match, versions by the resource API"
)


@client("boto3", Shared("boto3"), fast=True, does=DOES)
def with_crt(stand: Stand, python: Tool) -> None:
    _run(stand, python, "yes")


@client("boto3-pure", Pip("boto3", "boto3"), does=f"without awscrt: {DOES}")
def without_crt(stand: Stand, python: Tool) -> None:
    _run(stand, python, "no")


def _run(stand: Stand, python: Tool, crt: str) -> None:
    stand.run_program(python, "boto", environment={"CLIENT_CRT": crt, "CLIENT_VIRTUAL_URL": stand.virtual_url})
