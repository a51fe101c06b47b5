"""The signatures AWS publishes for S3, verified as they stand."""

from __future__ import annotations

import calendar

import pytest

from gateway.auth.chunked import Chain, Decoder
from gateway.auth.payload import Mode, Payload
from gateway.auth.sigv4 import Credential, Identity, RequestHead, Verifier
from gateway.types import Principal

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PRINCIPAL = Principal("u1", "User", "0" * 64, "t1", False, ACCESS_KEY)
MIDNIGHT = calendar.timegm((2013, 5, 24, 0, 0, 0))
EMPTY = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SCOPE = f"Credential={ACCESS_KEY}/20130524/us-east-1/s3/aws4_request"
BUCKET_HOST = (b"host", b"examplebucket.s3.amazonaws.com")
DATE = (b"x-amz-date", b"20130524T000000Z")


async def find(access_key: str) -> Credential | None:
    return Credential(SECRET, PRINCIPAL) if access_key == ACCESS_KEY else None


def verifier() -> Verifier:
    return Verifier(find, clock=lambda: MIDNIGHT + 60.0)


def signed(names: str, signature: str) -> tuple[bytes, bytes]:
    text = f"AWS4-HMAC-SHA256 {SCOPE},SignedHeaders={names},Signature={signature}"
    return b"authorization", text.encode()


async def verify(method: str, path: bytes, query: bytes, headers: list[tuple[bytes, bytes]]) -> Identity:
    return await verifier().verify(RequestHead(method, path, query, headers))


async def test_get_object() -> None:
    headers = [
        BUCKET_HOST,
        signed(
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (b"range", b"bytes=0-9"),
        (b"x-amz-content-sha256", EMPTY),
        DATE,
    ]
    identity = await verify("GET", b"/test.txt", b"", headers)
    assert identity.principal is PRINCIPAL
    assert identity.payload == Payload(Mode.SIGNED, EMPTY.decode())


@pytest.mark.parametrize("path", [b"/test$file.text", b"/test%24file.text", b"/%74est%24file.text"])
async def test_put_object_however_its_key_is_escaped(path: bytes) -> None:
    headers = [
        BUCKET_HOST,
        (b"date", b"Fri, 24 May 2013 00:00:00 GMT"),
        signed(
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        DATE,
        (b"x-amz-content-sha256", b"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
    ]
    await verify("PUT", path, b"", headers)


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        (b"lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (b"lifecycle=", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        (b"max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        (b"prefix=J&max-keys=%32", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
async def test_queries(query: bytes, signature: str) -> None:
    headers = [
        BUCKET_HOST,
        signed("host;x-amz-content-sha256;x-amz-date", signature),
        (b"x-amz-content-sha256", EMPTY),
        DATE,
    ]
    await verify("GET", b"/", query, headers)


async def test_presigned_url() -> None:
    query = (
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256"
        b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
    identity = await verify("GET", b"/test.txt", query, [BUCKET_HOST])
    assert identity.payload == Payload(Mode.UNSIGNED)


BODY = b"a" * 66560


def streaming(kind: str, seed: str, trailer: str = "") -> list[tuple[bytes, bytes]]:
    names = "content-encoding;{}host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
    signed_headers = names.format("" if trailer else "content-length;") + (";x-amz-trailer" if trailer else "")
    headers = [
        (b"host", b"s3.amazonaws.com"),
        DATE,
        (b"x-amz-storage-class", b"REDUCED_REDUNDANCY"),
        signed(signed_headers, seed),
        (b"x-amz-content-sha256", kind.encode()),
        (b"content-encoding", b"aws-chunked"),
        (b"x-amz-decoded-content-length", b"66560"),
        (b"content-length", b"66824"),
    ]
    return [*headers, (b"x-amz-trailer", trailer.encode())] if trailer else headers


def framed(signatures: tuple[str, str, str], tail: str) -> bytes:
    first, second, last = signatures
    return b"".join(
        [
            f"10000;chunk-signature={first}\r\n".encode() + BODY[:65536] + b"\r\n",
            f"400;chunk-signature={second}\r\n".encode() + BODY[65536:] + b"\r\n",
            f"0;chunk-signature={last}\r\n{tail}".encode(),
        ]
    )


def decode(payload: Payload, body: bytes, announced: list[str] | None) -> tuple[bytes, dict[str, str]]:
    assert payload.seed is not None
    decoder = Decoder(66560, chain=Chain(payload.seed), announced=announced)
    decoded = b"".join(decoder.feed(body))
    decoder.finish()
    return decoded, decoder.trailers


async def test_chunked_upload() -> None:
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    headers = streaming("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", seed)
    identity = await verify("PUT", b"/examplebucket/chunkObject.txt", b"", headers)
    body = framed(
        (
            "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
            "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
            "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ),
        "\r\n",
    )
    assert len(body) == 66824
    assert decode(identity.payload, body, None) == (BODY, {})


@pytest.mark.parametrize("end", ["\r\n", ""])
async def test_chunked_upload_with_a_trailer(end: str) -> None:
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    headers = streaming("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", seed, "x-amz-checksum-crc32c")
    identity = await verify("PUT", b"/examplebucket/chunkObject.txt", b"", headers)
    trailer = "x-amz-checksum-crc32c:sOO8/Q==\r\n"
    signature = "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
    body = framed(
        (
            "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ),
        trailer + signature + end,
    )
    decoded = decode(identity.payload, body, ["x-amz-checksum-crc32c"])
    assert decoded == (BODY, {"x-amz-checksum-crc32c": "sOO8/Q=="})
