"""AWS's SDKs for other languages, and Hadoop's s3a, each by a program of ours below ``sdk``."""

from __future__ import annotations

from conformance.clients.registry import client
from conformance.clients.stand import Stand
from conformance.clients.tools import GoProgram, Maven, Npm, Source, Tool

DOES = (
    "a stream in parts and back, ranges, metadata, copy, special keys, tags, presigned URLs, pages, delete of many, "
    "16 writers of which one may be first, versions"
)
SDKS: dict[str, tuple[Source, str]] = {
    "aws-sdk-js": (Npm("js", "@aws-sdk/client-s3"), f"v3, both addressing styles: {DOES}"),
    "aws-sdk-go": (GoProgram("go", "github.com/aws/aws-sdk-go-v2/service/s3"), f"v2, both addressing styles: {DOES}"),
    "aws-sdk-java": (Maven("java", "sdk.version"), f"v2, transfer manager: {DOES}"),
    "hadoop-s3a": (
        Maven("s3a", "hadoop.version"),
        "streams in parts, seeks, mkdirs, listing, glob, rename and delete of trees, copy; "
        "hadoop fs: mkdir, put, ls, cp, mv, get, rm",
    ),
}


def _register(name: str, source: Source, does: str) -> None:
    @client(name, source, does=does)
    def check(stand: Stand, tool: Tool) -> None:
        stand.make_bucket()
        stand.verify(stand.run(tool, environment={"CLIENT_VIRTUAL_URL": stand.virtual_url}))


for _name, (_source, _does) in SDKS.items():
    _register(_name, _source, _does)
