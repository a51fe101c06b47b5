"""Every method that administers is for admins and is written down: the table itself is asked, not a list of today's."""

from __future__ import annotations

from gateway.rpc import all_methods as _all_methods  # noqa: F401  (fills the table)
from gateway.rpc.methods import METHODS

ONLY_READS = {
    "admin_explain",
    "admin_get_key",
    "admin_get_user",
    "admin_list_groups",
    "admin_list_keys",
    "admin_list_tenants",
    "admin_list_users",
    "admin_usage",
    "audit_head",
    "audit_list",
    "audit_verify",
    "depending_on_mount",
    "encryption_keys",
    "list_saved_mounts",
    "list_storage_classes",
    "plan_mounts",
    "stats",
}
"""Of the methods of the core, those whose authors said that they change nothing. Look twice before adding one."""

BY_OWNERS = {"admin_grant", "admin_list_grants", "admin_revoke"}
"""What whoever owns a path may do about it, besides admins."""


def test_what_administers_is_audited_unless_it_only_reads() -> None:
    unaudited = {name for name, method in METHODS.items() if method.for_admins and not method.audited}
    assert unaudited == ONLY_READS


def test_what_sounds_like_administering_is_for_admins() -> None:
    admin = {name for name in METHODS if name.startswith(("admin_", "audit_", "encryption_"))}
    admin |= {name for name in METHODS if name.endswith(("_mount", "_storage_class"))} | {"gc", "fsck", "lifecycle_run"}
    admin -= {"get_mount", "has_mount"}
    assert {name for name in admin if not METHODS[name].for_admins} == BY_OWNERS
    assert {name for name in BY_OWNERS if not METHODS[name].audited} == {"admin_list_grants"}
