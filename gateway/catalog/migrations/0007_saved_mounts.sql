-- Mounts that are kept to be mounted later, by the Nexus door's save_mount.
CREATE TABLE saved_mounts (
    mount_point TEXT NOT NULL PRIMARY KEY,
    backend_type TEXT NOT NULL,
    sealed_config BLOB NOT NULL,
    priority INTEGER NOT NULL,
    readonly INTEGER NOT NULL,
    owner_user_id TEXT,
    tenant_id TEXT,
    description TEXT,
    created_at INTEGER NOT NULL
);
