"""Operations that move no byte where a server is good: copies, and completing an upload of many parts."""

from __future__ import annotations

import hashlib
import os
from urllib.parse import quote

from benchmarks.catalog_fill import fill_parts
from benchmarks.large import PATIENCE, begin_upload, completion, stored
from benchmarks.load import MIB, Request, Run
from benchmarks.site import SMALL, Site, Unfit

MOST_COPIES = 2000
LEAST_PART = 5 * MIB


def copy_small(site: Site, connections: int) -> Run:
    if "small" not in site.made:
        site.made["small"] = site.fill([(f"/{site.bucket}/small", os.urandom(SMALL))])[0]
    return _copies(site, connections, site.made["small"])


def copy_huge(site: Site, connections: int) -> Run:
    """Copies of 1 GiB; who moves the bytes gets one done."""
    return _copies(site, connections, stored(site, "huge", site.scale.huge))


def _copies(site: Site, connections: int, source: str) -> Run:
    keys = [f"/{site.bucket}/copies/{key[-8:]}" for key in site.fresh(MOST_COPIES)]
    told = {"x-amz-copy-source": quote(source)}
    requests = [Request(site.signer.head("PUT", key, more=told)) for key in keys]
    run = site.play(requests, connections, site.scale.seconds)
    if run.refused == run.requests:
        raise Unfit("CopyObject was refused")
    _drop_all(site, [keys[number] for number in run.done])
    return run


def _drop_all(site: Site, keys: list[str]) -> None:
    site.play([Request(site.signer.head("DELETE", key)) for key in keys], 8, PATIENCE)


def complete(site: Site, connections: int) -> Run:
    """CompleteMultipartUpload of 10,000 parts of 5 MiB. One is uploaded; the others are copies of its row."""
    if site.catalog is None:
        raise Unfit("there is no catalog to put the parts into")
    key = site.large_key()
    upload = begin_upload(site, key)
    content = os.urandom(LEAST_PART)
    digest, query = hashlib.sha256(content).hexdigest(), f"partNumber=1&uploadId={upload}"
    if site.play([Request(site.signer.head("PUT", key, query, digest, LEAST_PART), content)], 1, PATIENCE).refused:
        raise Unfit("UploadPart was refused")
    fill_parts(site.catalog, upload, site.scale.parts)
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    run = site.play([completion(site, key, upload, [etag] * site.scale.parts)], 1, PATIENCE)
    if not run.refused:
        _, headers, _ = site.signer.call("HEAD", key)
        if headers.get("content-length") != str(site.scale.parts * LEAST_PART):
            raise Unfit("the completed object has another size")
    site.drop([key])
    return run
