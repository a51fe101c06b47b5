"""Operations that move large objects, and what memory they take."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from benchmarks.load import MIB, Request, Run
from benchmarks.site import Site, Unfit, sha256_of

PART = 8 * MIB
PATIENCE = 600


def put_large(site: Site, connections: int) -> Run:
    count = connections * site.scale.repeats
    with site.random_file(site.scale.large + count * 4096) as bodies:
        requests, keys = [], []
        for number in range(count):  # each begins elsewhere in one file: no two have a block in common
            keys.append(site.large_key())
            requests.append(_put(site, keys[-1], bodies, number * 4096, site.scale.large))
        run = site.play(requests, connections, PATIENCE, bodies=bodies)
    site.drop(keys)
    return run


def get_large(site: Site, connections: int) -> Run:
    key = stored(site, "large", site.scale.large)
    count = max(connections, 2) * site.scale.repeats
    run = site.play([Request(site.signer.head("GET", key))] * count, connections, PATIENCE)
    if run.received != count * site.scale.large:
        raise Unfit("large GETs gave other sizes")
    return run


def put_huge(site: Site, connections: int) -> Run:
    """One PUT of 1 GiB: what counts is the memory."""
    key = site.made.setdefault("huge", site.large_key())
    with site.random_file(site.scale.huge) as bodies:
        return site.play([_put(site, key, bodies, 0, site.scale.huge)], 1, PATIENCE, bodies=bodies)


def get_huge(site: Site, connections: int) -> Run:
    """One GET of 1 GiB, by the process that took it."""
    key = stored(site, "huge", site.scale.huge)
    run = site.play([Request(site.signer.head("GET", key))], 1, PATIENCE)
    if run.received != site.scale.huge:
        raise Unfit("a GET gave another size")
    return run


def stored(site: Site, what: str, size: int) -> str:
    """The key of an object of that size, which is put when it is first asked for."""
    if what not in site.made:
        key = site.large_key()
        with site.random_file(size) as bodies:
            if site.data is not None:
                path = site.data / key[1:]
                path.parent.mkdir(parents=True, exist_ok=True)
                bodies.rename(path)
            elif site.play([_put(site, key, bodies, 0, size)], 1, PATIENCE, bodies=bodies).refused:
                raise Unfit(f"a PUT of {size // MIB} MiB was refused")
        site.made[what] = key
    return site.made[what]


def _put(site: Site, key: str, bodies: Path, start: int, size: int) -> Request:
    return Request(site.signer.head("PUT", key, "", sha256_of(bodies, start, size), size), (start, size))


def multipart(site: Site, connections: int) -> Run:
    """A whole object in parts of 8 MiB, begun and completed: times and processor time are of the object."""
    key, size = site.large_key(), site.scale.multipart
    upload = begin_upload(site, key)
    with site.random_file(size) as bodies:
        requests, parts = [], []
        for number, at in enumerate(range(0, size, PART), 1):
            query = f"partNumber={number}&uploadId={upload}"
            head = site.signer.head("PUT", key, query, sha256_of(bodies, at, PART), PART)
            requests.append(Request(head, (at, PART)))
            parts.append(_md5_of(bodies, at))
        run = site.play(requests, connections, PATIENCE, bodies=bodies)
    if run.refused:
        raise Unfit("parts were refused")
    end = site.play([completion(site, key, upload, parts)], 1, PATIENCE)
    if end.refused:
        raise Unfit("CompleteMultipartUpload was refused")
    site.drop([key])
    seconds = run.seconds + end.seconds
    return Run(1, seconds, run.cpu_seconds + end.cpu_seconds, [seconds * 1000], 0, 0, run.peak_mib, [0])


def _md5_of(bodies: Path, at: int) -> str:
    with open(bodies, "rb") as file:
        file.seek(at)
        return hashlib.md5(file.read(PART), usedforsecurity=False).hexdigest()


def begin_upload(site: Site, key: str) -> str:
    status, _, answer = site.signer.call("POST", key, "uploads=")
    found = re.search(rb"<UploadId>([^<]+)</UploadId>", answer)
    if status != 200 or not found:
        raise Unfit(f"CreateMultipartUpload answers {status}")
    return found[1].decode()


def completion(site: Site, key: str, upload: str, etags: list[str]) -> Request:
    """The request that completes an upload of parts with these entity tags."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    digest = hashlib.sha256(body).hexdigest()
    return Request(site.signer.head("POST", key, f"uploadId={upload}", digest, len(body)), body)
