"""Condition keys: those that a policy may name, in lower case, as names of keys know no case.

A key that requests never have here (there are no VPCs, organisations or federated users) is known all the same: its
conditions are decided as AWS decides them for a request without the key. What is not listed is refused when a policy
is put, as it could not be enforced.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html#amazons3-policy-keys
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

_GLOBAL = """
CalledVia CalledViaFirst CalledViaLast CurrentTime EpochTime FederatedProvider MultiFactorAuthAge
MultiFactorAuthPresent PrincipalAccount PrincipalArn PrincipalIsAWSService PrincipalOrgID PrincipalOrgPaths
PrincipalServiceName PrincipalServiceNamesList PrincipalType Referer RequestedRegion ResourceAccount ResourceOrgID
ResourceOrgPaths SecureTransport SourceAccount SourceArn SourceIdentity SourceIp SourceOrgID SourceOrgPaths SourceVpc
SourceVpce SourceVpcArn TokenIssueTime UserAgent ViaAWSService VpcSourceIp userid username
"""
_S3 = """
authType delimiter if-match if-none-match LocationConstraint max-keys object-lock-legal-hold object-lock-mode
object-lock-remaining-retention-days object-lock-retain-until-date ObjectCreationOperation prefix RequestObjectTagKeys
ResourceAccount signatureAge signatureversion TlsVersion VersionId x-amz-acl x-amz-content-sha256 x-amz-copy-source
x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write x-amz-grant-write-acp
x-amz-metadata-directive x-amz-object-ownership x-amz-server-side-encryption
x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm x-amz-storage-class
x-amz-website-redirect-location
"""
KEYS = frozenset(f"aws:{name.lower()}" for name in _GLOBAL.split()) | {f"s3:{name.lower()}" for name in _S3.split()}
FAMILIES = ("s3:existingobjecttag/", "s3:requestobjecttag/", "aws:principaltag/", "aws:requesttag/", "aws:resourcetag/")
"""Keys that end with the key of a tag, which does know case."""


def fold(key: str) -> str:
    """A condition key as it is looked up: in lower case but for the key of a tag."""
    family, slash, tag = key.partition("/")
    return f"{family.lower()}/{tag}" if slash else key.lower()


def is_known(key: str) -> bool:
    """Whether a folded key is one of those above."""
    return key in KEYS or (key.startswith(FAMILIES) and not key.endswith("/"))
