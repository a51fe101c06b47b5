"""A bucket of an S3 service, and what botocore's failures mean to a store.

The client is botocore in threads: it is here already, knows every source of credentials and every region, and pins
nothing (aiobotocore holds botocore to one version). Its own retries are off, ours know what is asked.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import botocore.session
from botocore import exceptions as boto
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config

from backends.base import StoreFull, StoreMisconfigured, StoreRefused, StoreUnavailable
from backends.calls import THREADS
from backends.pinned import checked
from backends.settings import read_timeout, read_url

CONNECT_SECONDS = 5.0
ADDRESSING = ("auto", "path", "virtual")
DEFAULT_REGION = "us-east-1"

PASSING = {
    "BadDigest",  # damaged on the way: the same bytes, sent again, arrive
    "ConditionalRequestConflict",
    "IncompleteBody",
    "InternalError",
    "OperationAborted",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
}
PASSING_ERRORS = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    boto.CredentialRetrievalError,  # a machine's own credentials come from a service, too
)
FULL = {"EntityTooLargeForQuota", "InsufficientCapacity", "QuotaExceeded", "XMinioStorageFull"}
CREDENTIALS = {
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
TOO_LONG = {"KeyTooLongError", "MetadataTooLarge"}
ELSEWHERE = {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}


def read_endpoint(config: Mapping[str, str]) -> str | None:
    url = config.get("endpoint_url")
    return read_url("endpoint_url", url) if url else None


class S3Client:
    """Requests about one bucket: ``api`` makes them, ``telling`` says what went wrong."""

    def __init__(self, config: Mapping[str, str]) -> None:
        self.bucket = config["bucket"]
        self._endpoint = read_endpoint(config)
        self.api = _client(config, self._endpoint, read_timeout(config))

    def check(self, prefix: str = "") -> None:
        """Ask for the least that shows the bucket is there for us."""
        with self.telling("s3:ListBucket"):
            self.api.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1)

    def body(self, found: Mapping[str, Any], start: int | None) -> S3Body:
        """The body of an answer to GetObject, which begins where it was asked to."""
        body = S3Body(found["Body"], found["ContentLength"], self.telling)
        if start is not None and not found.get("ContentRange", "").startswith(f"bytes {start}-"):
            body.close()
            raise StoreRefused("the service at endpoint_url does not serve ranges of an object")
        return body

    def close(self) -> None:
        self.api.close()

    @contextlib.contextmanager
    def telling(self, permission: str) -> Iterator[None]:
        """Turn what botocore raises into what a store raises."""
        try:
            yield
        except boto.ClientError as error:
            raise self._translated(error, permission) from error
        except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
            raise StoreMisconfigured(
                "no credentials for S3: give access_key_id and secret_access_key, or set AWS_ACCESS_KEY_ID and"
                " AWS_SECRET_ACCESS_KEY, or a profile, for the server"
            ) from error
        except boto.SSLError as error:
            raise StoreMisconfigured(f"no trusted TLS connection to {self._where}: {error}") from error
        except PASSING_ERRORS as error:
            raise StoreUnavailable(f"{self._where} cannot be reached or broke off: {error}") from error
        except boto.ResponseParserError as error:
            raise StoreUnavailable(f"{self._where} does not answer as S3 does: {error}") from error
        except (boto.BotoCoreError, ValueError) as error:
            raise StoreMisconfigured(f"the S3 client refuses this configuration: {error}") from error

    @property
    def _where(self) -> str:
        return self._endpoint or "AWS"

    def _translated(self, error: boto.ClientError, permission: str) -> Exception:
        told = error.response.get("Error", {})
        meta = error.response.get("ResponseMetadata", {})
        code, status = str(told.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
        if code == "NoSuchBucket":
            return StoreMisconfigured(
                f"there is no bucket {self.bucket!r} at {self._where}: make it, or correct 'bucket'"
            )
        if code in ELSEWHERE or status in (301, 307):
            return StoreMisconfigured(
                f"the bucket {self.bucket!r} is in another region than the one it was asked for in: set region_name"
                f" ({told.get('Message', code)})"
            )
        if code in CREDENTIALS:
            return StoreMisconfigured(
                f"{self._where} does not accept the credentials ({code}): correct access_key_id and secret_access_key"
            )
        if code == "RequestTimeTooSkewed":
            return StoreMisconfigured(f"the clocks of this machine and of {self._where} differ: set this one right")
        if code in FULL or status == 507:
            return StoreFull(f"the bucket {self.bucket!r} takes no more ({code})")
        if code in PASSING or status in (408, 409, 429) or (status >= 500 and status != 501):
            headers = meta.get("HTTPHeaders", {})
            return StoreUnavailable(f"{self._where} answers {status} {code}", _seconds(headers.get("retry-after", "")))
        if status in (401, 403) and code != "InvalidObjectState":
            return StoreMisconfigured(
                f"{self._where} refuses access ({code}): the credentials need the permission {permission} on the"
                f" bucket {self.bucket!r}"
            )
        if code in TOO_LONG:
            return TooLong(f"{self._where} answers {code}: {told.get('Message', '')}")
        if code == "InvalidObjectState":
            return StoreRefused("the object is in an archive: it must be restored before it is read")
        kinds = {404: Absent, 412: Taken, 416: NotThere, 501: Unsupported}
        return kinds.get(status, StoreRefused)(f"{self._where} answers {status} {code}: {told.get('Message', '')}")


class Absent(StoreRefused):
    """404: no object of that key."""


class Taken(StoreRefused):
    """412: the key is taken."""


class NotThere(StoreRefused):
    """416: the object ends before the range begins."""


class TooLong(StoreRefused):
    """400: the service cannot hold such a key, or so much that is said of an object."""


class Unsupported(StoreRefused):
    """501: the service does not know the condition."""


class S3Body:
    def __init__(self, stream: Any, size: int, telling: Any) -> None:
        self._stream = stream
        self.telling = telling
        self.size = size

    def read(self, amount: int) -> bytes:
        with self.telling("s3:GetObject"):
            chunk: bytes = self._stream.read(amount)
            return chunk

    def close(self) -> None:
        self._stream.close()


_sessions = threading.Lock()


@functools.cache
def _session() -> botocore.session.Session:
    """One for all stores: it keeps the parsed description of S3, which is most of what a client weighs."""
    return botocore.session.Session()


def _client(config: Mapping[str, str], endpoint: str | None, timeout: float) -> Any:
    pair = config.get("access_key_id"), config.get("secret_access_key")
    if (pair[0] is None) != (pair[1] is None):
        raise StoreMisconfigured("s3 needs access_key_id and secret_access_key together")
    if "session_token" in config and pair[0] is None:
        raise StoreMisconfigured("session_token is of no use without access_key_id and secret_access_key")
    style = config.get("addressing_style", "auto")
    if style not in ADDRESSING:
        raise StoreMisconfigured(f"addressing_style must be one of {', '.join(ADDRESSING)}: {style}")
    try:
        with _sessions:
            session = _session()
            region = config.get("region_name") or session.get_config_variable("region") or DEFAULT_REGION
            client = session.create_client(
                "s3",
                region_name=region,
                endpoint_url=endpoint,
                aws_access_key_id=pair[0],
                aws_secret_access_key=pair[1],
                aws_session_token=config.get("session_token"),
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=timeout,
                    max_pool_connections=THREADS,
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    s3={"addressing_style": style},
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    user_agent_extra="nexus-gateway",
                    parameter_validation=True,
                ),
            )
            _pin(client)
            return client
    except (boto.BotoCoreError, ValueError) as error:
        raise StoreMisconfigured(f"the S3 client refuses this configuration: {error}") from error


class _Plain(AWSHTTPConnection):  # type: ignore[misc]
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _Secure(AWSHTTPSConnection):  # type: ignore[misc]
    def _new_conn(self) -> socket.socket:
        return checked(super()._new_conn())


class _PlainPool(AWSHTTPConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Plain


class _SecurePool(AWSHTTPSConnectionPool):  # type: ignore[misc]
    ConnectionCls = _Secure


def _pin(client: Any) -> None:
    """Let a client's connections look whom they reached; through a proxy, that is the proxy's to do.

    botocore has no way to say so: the attribute is its own, and a test sees to it that it is still there.
    """
    client._endpoint.http_session._manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


def _seconds(text: str) -> float:
    """Retry-After in seconds; 0 where it is absent or a date."""
    return min(float(text), 30.0) if text.isascii() and text.isdigit() else 0.0
