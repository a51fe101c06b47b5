"""A short walk of ``conformance.versions_model``; the long one is a command of its own."""

from __future__ import annotations

from botocore.client import BaseClient

from conformance.versions_model import run


def test_versions_behave_as_the_model(s3: BaseClient) -> None:
    run(s3, sequences=12, seed=20261123, steps=40)
