"""Every module with methods: importing this fills the table."""

from gateway.rpc import (  # noqa: F401
    admin,
    directories,
    encryption,
    listing,
    maintenance,
    mounts,
    moving,
    reading,
    versions,
    writing,
)
