"""What Nexus clients can ask for that is not served here: said as such, and not as if the caller had mistyped it."""

from __future__ import annotations

_LIVE = "a mount shows what its store holds now, so there is nothing to synchronise"
_FAMILIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("sync_mount", "list_sync_jobs", "get_sync_job", "cancel_sync_job"), _LIVE),
    (("rebac_", "set_rebac_", "get_rebac_", "namespace_", "register_namespace", "get_namespace"), "see docs/access.md"),
    (("grant_", "revoke_", "deny_", "share_", "make_", "list_incoming_", "list_outgoing_"), "see docs/access.md"),
    (("chmod", "chown", "chgrp", "get_acl"), "files have no POSIX owners here; see docs/access.md"),
    (("export_metadata", "import_metadata"), "metadata is in S3's headers and in get_metadata"),
    (
        (
            *("ace_", "sandbox_", "mcp_", "skills_", "oauth_", "semantic_search", "initialize_semantic_search"),
            *("workspace_", "register_", "unregister_", "list_workspaces", "get_workspace", "load_workspace"),
            *("store_memory", "retrieve_memory", "query_", "list_memories", "get_memory", "delete_memory"),
            *("approve_memory", "deactivate_memory", "list_registered_memories", "get_agent", "list_agents"),
            *("delete_agent", "read_with_dynamic_viewer", "apply_dynamic_viewer", "get_dynamic_viewer"),
            *("start_trajectory", "log_trajectory", "complete_trajectory", "get_playbook", "curate_playbook"),
            *("batch_reflect", "process_relearning", "get_trajectory"),
        ),
        "this server keeps files; it runs no agents, memories, workspaces, skills or searches",
    ),
)


def without(method: str) -> str:
    """What to say of a method that is not there."""
    for beginnings, reason in _FAMILIES:
        if method.startswith(beginnings):
            return f"{method} is not supported: {reason}"
    return f"no method {method!r}"
