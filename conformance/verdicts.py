"""Who is right where the gateway and moto differ, by AWS's documentation."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

API = "https://docs.aws.amazon.com/AmazonS3/latest/API/"
GUIDE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
RECORDED = "https://github.com/localstack/localstack/tree/main/tests/aws/services/s3"
"""Where answers of AWS were recorded: the snapshots of LocalStack's tests."""


@dataclass(frozen=True)
class Verdict:
    """``right`` is gateway, moto or either: AWS leaves it open, or allows both.

    ``silent`` speaks of what moto does not tell at all; ``expected`` of one outcome of the gateway and no other.
    """

    right: str
    why: str
    url: str
    silent: bool = False
    expected: str | None = None

    @property
    def text(self) -> str:
        return f"{self.why} {self.url}"


def gateway(why: str, url: str, *, silent: bool = False, expected: str | None = None) -> Verdict:
    return Verdict("gateway", why, url, silent, expected)


def either(why: str, url: str) -> Verdict:
    return Verdict("either", why, url)


_INTEGRITY = GUIDE + "checking-object-integrity.html"
_ERRORS = API + "ErrorResponses.html"
_NAMES = gateway("The naming rules forbid it.", GUIDE + "bucketnamingrules.html")
_ONE_REGION = either(
    "AWS knows its regions, a gateway has one: another one is InvalidLocationConstraint.", API + "API_CreateBucket.html"
)
_AFTER = "Follows from what moto did before: "

VERDICTS: dict[tuple[str, str], Verdict] = {
    # -- everywhere
    ("*", "*Checksum*"): gateway(
        "Every object has a checksum, CRC64NVME unless the client chose another.", _INTEGRITY, silent=True
    ),
    ("*", "Prefix"): gateway(
        "The answer names the prefix that was asked for.", API + "API_ListBuckets.html", silent=True
    ),
    ("*", "*BucketArn"): gateway("A bucket tells its ARN.", API + "API_Bucket.html", silent=True),
    # -- buckets
    ("buckets: head", "AccessPointAlias"): gateway("As recorded.", RECORDED, silent=True),
    ("buckets: create, upper case", "*"): _NAMES,
    ("buckets: create, underscore", "*"): _NAMES,
    ("buckets: create, like an address", "*"): _NAMES,
    ("buckets: create, two dots", "*"): _NAMES,
    ("buckets: create, reserved *", "*"): _NAMES,
    ("buckets: create, ends in a hyphen", "*"): _NAMES,
    ("buckets: create, other region", "*"): _ONE_REGION,
    ("buckets: create, no region", "*"): gateway("No such region exists.", API + "API_CreateBucket.html"),
    ("buckets: list*", "Buckets.*BucketRegion"): gateway(
        "A paged or filtered list tells each bucket's region.", API + "API_ListBuckets.html"
    ),
    ("buckets: list by prefix", "Buckets.*"): either(
        _AFTER + "it made buckets in other regions.", API + "API_ListBuckets.html"
    ),
    ("buckets: list a page", "ContinuationToken"): gateway(
        "There is more than one bucket, so a page of one has a token.", API + "API_ListBuckets.html"
    ),
    ("buckets: list, page too large", "*"): gateway("MaxBuckets is at most 10,000.", API + "API_ListBuckets.html"),
    ("buckets: delete region", "*"): either(_AFTER + "it made that bucket.", API + "API_CreateBucket.html"),
    # -- puts
    ("puts: put, wrong MD5", "*"): gateway("A Content-MD5 that does not match is BadDigest.", _ERRORS),
    ("puts: put, no MD5 at all", "*"): gateway("A Content-MD5 that is none is InvalidDigest.", _ERRORS),
    ("puts: put, wrong SHA*", "*"): gateway("A checksum that does not match is BadDigest.", _INTEGRITY),
    ("puts: put, no checksum", "*"): gateway(
        "What is no checksum is refused, with BadDigest or InvalidRequest.", _ERRORS
    ),
    ("puts: put, 1025 bytes of key", "*"): gateway("A key has at most 1,024 bytes.", GUIDE + "object-keys.html"),
    ("puts: put, metadata too large", "*"): gateway(
        "User metadata has at most 2 KB, names and values together.", GUIDE + "UsingMetadata.html"
    ),
    ("puts: put, eleven tags", "outcome"): either(
        "Ten tags at most; the code is not documented.", GUIDE + "object-tagging.html"
    ),
    ("puts: put, tag twice", "*"): gateway("Tag keys are unique within an object.", GUIDE + "object-tagging.html"),
    ("puts: put, wrong redirect", "*"): gateway(
        "A redirect begins with /, http:// or https://.", GUIDE + "how-to-page-redirect.html"
    ),
    # -- gets
    ("gets: get, suffix of nothing", "*"): either("An empty object has no last byte.", API + "API_GetObject.html"),
    ("gets: get, part 2", "*"): either(
        "There is one part; which error tells so is not documented.", API + "API_GetObject.html"
    ),
    ("gets: get, part and range", "*"): gateway(
        "partNumber is a range of its own; with Range the request is ambiguous.", API + "API_GetObject.html"
    ),
    ("gets: *, if-match any", "*"): gateway(
        "* matches every present object (RFC 9110, 13.1.1, to which the page refers).", API + "API_GetObject.html"
    ),
    ("gets: *, if-none-match any", "*"): gateway(
        "* matches every present object (RFC 9110, 13.1.2, to which the page refers).", API + "API_GetObject.html"
    ),
    ("gets: *, if-match wins", "*"): gateway(
        "If-Match true and If-Unmodified-Since false is 200 OK.", API + "API_GetObject.html"
    ),
    # -- attributes
    ("attributes: attributes, nonsense", "*"): gateway(
        "The values are an enumeration.", API + "API_GetObjectAttributes.html"
    ),
    # -- tagging
    ("tagging: put eleven tags", "outcome"): either(
        "Ten tags at most; the code is not documented.", GUIDE + "object-tagging.html"
    ),
    ("tagging: put a tag twice", "*"): gateway("Tag keys are unique within an object.", GUIDE + "object-tagging.html"),
    ("tagging: put an empty tag key", "*"): gateway(
        "A key has 1 to 128 characters; a 5xx is no answer.", API + "API_PutObjectTagging.html"
    ),
    ("tagging: put no tags", "*"): gateway(
        "An empty set is a set; a 5xx is no answer.", API + "API_PutObjectTagging.html"
    ),
    # -- copies
    ("copies: copy, nonsense directive", "*"): gateway("COPY or REPLACE.", API + "API_CopyObject.html"),
    ("copies: copy, no source", "*"): gateway(
        "The source is bucket/key; anything else is InvalidArgument.", API + "API_CopyObject.html"
    ),
    ("copies: copy, if-match other", "*"): gateway("The source's ETag is another: 412.", API + "API_CopyObject.html"),
    ("copies: copy, if-unmodified-since the past", "*"): gateway(
        "The source was modified since: 412.", API + "API_CopyObject.html"
    ),
    # -- conditions
    ("conditions: put, if-none-match an ETag", "*"): gateway(
        "A put takes no other value than *.", GUIDE + "conditional-writes.html"
    ),
    ("conditions: put, if-match", "*"): either(_AFTER + "it took the put before.", GUIDE + "conditional-writes.html"),
    ("conditions: delete, if-match", "*"): either(
        _AFTER + "the object has another ETag there.", GUIDE + "conditional-deletes.html"
    ),
    ("conditions: gone", "*"): either(_AFTER + "nothing was deleted there.", GUIDE + "conditional-deletes.html"),
    # -- listings
    ("listings: v1*", "Marker"): gateway(
        "Marker is part of the answer, empty where none was sent.", API + "API_ListObjects.html"
    ),
    ("listings: marker", "Marker"): gateway("Marker is part of the answer.", API + "API_ListObjects.html"),
    ("listings: v1, one key", "NextMarker"): gateway(
        "NextMarker is told only where a delimiter was sent.", API + "API_ListObjects.html"
    ),
    ("listings: v1, two with delimiter", "*"): gateway(
        "Keys and common prefixes count together, and NextMarker is the last of them.", API + "API_ListObjects.html"
    ),
    ("listings: v?, too many keys", "MaxKeys"): gateway(
        "A page never has more than 1,000 keys.", API + "API_ListObjectsV2.html"
    ),
    ("listings: v?, less than none", "*"): gateway(
        "A negative number of keys is no number.", API + "API_ListObjectsV2.html"
    ),
    ("listings: v?, encoded otherwise", "*"): gateway("The one encoding is url.", API + "API_ListObjectsV2.html"),
    ("listings: wrong token", "*"): gateway(
        "A token comes from S3; a 5xx is no answer.", API + "API_ListObjectsV2.html"
    ),
    ("listings: next page", "ContinuationToken"): gateway(
        "A token that was sent is part of the answer.", API + "API_ListObjectsV2.html"
    ),
    # -- multipart
    ("multipart: uploads*", "Next*"): gateway(
        "The last upload is told even where none follows.", RECORDED, silent=True
    ),
    ("multipart: complete, no parts", "outcome"): gateway(
        "As recorded; without a body at all it is MalformedXML.", RECORDED, expected="400 InvalidRequest"
    ),
    ("multipart: part 0", "*"): gateway("Part numbers go from 1 to 10,000.", API + "API_UploadPart.html"),
    ("multipart: part, wrong MD5", "*"): gateway("A Content-MD5 that does not match is BadDigest.", _ERRORS),
    ("multipart: part of no upload", "*"): gateway(
        "NoSuchUpload is the documented error.", API + "API_UploadPart.html"
    ),
    ("multipart: part after that", "*"): gateway("NoSuchUpload is the documented error.", API + "API_UploadPart.html"),
    ("multipart: copied part beyond", "*"): gateway(
        "A range of the source lies within it; the error's code is not documented.", API + "API_UploadPartCopy.html"
    ),
    ("multipart: copied part of nothing", "outcome"): gateway("NoSuchKey is the documented code.", _ERRORS),
    ("multipart: parts", "*"): either(_AFTER + "it copied more than there is.", API + "API_UploadPartCopy.html"),
    ("multipart: complete, wrong order", "outcome"): gateway(
        "InvalidPartOrder is the documented error.", API + "API_CompleteMultipartUpload.html"
    ),
    ("multipart: complete, wrong size", "outcome"): gateway(
        "A size that is not the object's is 400 InvalidRequest.",
        API + "API_CompleteMultipartUpload.html",
        expected="400 InvalidRequest",
    ),
    ("multipart: complete no upload", "*"): gateway(
        "NoSuchUpload is the documented error.", API + "API_CompleteMultipartUpload.html"
    ),
    ("multipart: complete*", "VersionId"): gateway(
        "A bucket that was never versioned tells no version.", API + "API_CompleteMultipartUpload.html"
    ),
    ("multipart: its part ?", "*"): gateway("partNumber asks for one part of the object.", API + "API_GetObject.html"),
    ("multipart: its attributes", "ObjectParts.TotalPartsCount"): gateway(
        "The number of parts is told where it was asked for.", API + "API_GetObjectAttributes.html"
    ),
    ("multipart: its attributes", "ObjectParts.*"): either(
        "Each part is told where it has a checksum; those of this object have none but S3's own.",
        API + "API_GetObjectAttributes.html",
    ),
    ("multipart: begin, * *", "*"): gateway(
        "SHA-256 of a whole cannot be made from parts, CRC64NVME only so.", _INTEGRITY
    ),
    # -- deletes
    ("deletes: delete many quietly", "Deleted.*"): gateway("Quiet tells errors only.", API + "API_DeleteObjects.html"),
    ("deletes: delete too many", "*"): gateway("1,000 keys at most.", API + "API_DeleteObjects.html"),
}
"""By case and member, both patterns; the first that fits decides. Without one a difference is unsettled."""


def verdict_on(case: str, member: str, ours: str | None, theirs: str | None) -> Verdict | None:
    for (cases, members), verdict in VERDICTS.items():
        if not fnmatchcase(case, cases) or not fnmatchcase(member, members):
            continue
        if (theirs is None or not verdict.silent) and verdict.expected in (None, ours):
            return verdict
    return None
