"""What every store promises: published, for those who write stores of their own, as ``backends.testing``."""

from backends.testing import BlobStoreContract, Bucket, RemoteStoreContract, name_of, names_in

__all__ = ["BlobStoreContract", "Bucket", "RemoteStoreContract", "name_of", "names_in"]
