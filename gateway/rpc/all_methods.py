"""Every module with methods: importing this fills the table."""

from gateway.rpc import (  # noqa: F401
    admin,
    audit,
    directories,
    encryption,
    explaining,
    granting,
    listing,
    maintenance,
    mounts,
    moving,
    reading,
    tenants,
    versions,
    writing,
)
