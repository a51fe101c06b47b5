"""Operations that move no byte where a server is good: copies, and completing an upload of many parts."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

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
    """CompleteMultipartUpload of 10,000 parts of 5 MiB, which are copies of one object: only the last step counts."""
    if not site.is_ours:
        raise Unfit("it would have to move 50 GiB")
    source = stored(site, "part", LEAST_PART)
    key = site.large_key()
    upload = begin_upload(site, key)
    told = {"x-amz-copy-source": quote(source)}
    numbers = range(1, site.scale.parts + 1)
    heads = [site.signer.head("PUT", key, f"partNumber={number}&uploadId={upload}", more=told) for number in numbers]
    if site.play([Request(head) for head in heads], 16, PATIENCE).refused:
        raise Unfit("UploadPartCopy was refused")
    etag = _etag(site, source)
    run = site.play([completion(site, key, upload, [etag] * site.scale.parts)], 1, PATIENCE)
    if not run.refused:
        _, headers, _ = site.signer.call("HEAD", key)
        if headers.get("content-length") != str(site.scale.parts * LEAST_PART):
            raise Unfit("the completed object has another size")
    site.drop([key])
    return run


def _etag(site: Site, key: str) -> str:
    status, headers, _ = site.signer.call("HEAD", key)
    found = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("etag", ""))
    if status != 200 or not found:
        raise Unfit(f"HEAD answers {status} with the entity tag {headers.get('etag')}")
    return found[1]
