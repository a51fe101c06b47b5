"""Regions: one gateway, several names that clients sign for and make buckets in."""

from __future__ import annotations

from collections.abc import Callable

import boto3
from botocore.config import Config

from tests.e2e.harness import Server, refused, unique


def test_buckets_in_other_regions(new_server: Callable[..., Server]) -> None:
    server = new_server(NEXUS_OTHER_REGIONS='["eu-west-1", "ap-south-1"]')
    s3 = server.s3()
    home, away = unique("home"), unique("away")
    s3.create_bucket(Bucket=home)
    s3.create_bucket(Bucket=away, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket=away)["LocationConstraint"] == "eu-west-1"
    assert s3.head_bucket(Bucket=away)["BucketRegion"] == "eu-west-1"
    assert [b["Name"] for b in s3.list_buckets(BucketRegion="eu-west-1")["Buckets"]] == [away]
    # Outside of us-east-1 one's own bucket is not made again.
    with refused("BucketAlreadyOwnedByYou", 409):
        s3.create_bucket(Bucket=away, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    with refused("InvalidLocationConstraint", 400):
        s3.create_bucket(Bucket=unique("far"), CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    for region in ("us-east-1", "eu-west-1", "ap-south-1"):
        client = boto3.client(
            "s3",
            endpoint_url=server.url,
            region_name=region,
            aws_access_key_id=server.admin.access_key,
            aws_secret_access_key=server.admin.secret_key,
            config=Config(s3={"addressing_style": "path"}),
        )
        client.put_object(Bucket=away, Key=region, Body=region.encode())
        assert client.get_object(Bucket=away, Key=region)["Body"].read() == region.encode()
        client.close()
