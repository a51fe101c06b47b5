-- Times are Unix milliseconds. Keys and digests are bytes, so that both engines order keys as S3 does.

CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);

-- One more with each change of what workers cache: mounts, stores, keys, users, buckets.
INSERT INTO meta (name, value) VALUES ('generation', 1);

CREATE TABLE tenants (id TEXT PRIMARY KEY, created_at INTEGER NOT NULL);

CREATE TABLE users (
    id TEXT PRIMARY KEY,
    display_name TEXT NOT NULL,
    email TEXT NOT NULL,
    canonical_id TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL REFERENCES tenants (id),
    is_admin INTEGER NOT NULL,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES users (id),
    name TEXT NOT NULL,
    verifier BLOB NOT NULL,
    sealed_secret BLOB NOT NULL,
    readonly INTEGER NOT NULL DEFAULT 0,
    prefixes TEXT NOT NULL DEFAULT '[]',
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
);
CREATE INDEX api_keys_user ON api_keys (user_id);

CREATE TABLE stores (
    id INTEGER PRIMARY KEY,
    backend_type TEXT NOT NULL,
    identity TEXT NOT NULL UNIQUE,
    sealed_config BLOB NOT NULL,
    block_size INTEGER NOT NULL,
    dedup_scope TEXT NOT NULL,
    gc_epoch INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
);

CREATE TABLE mounts (
    mount_point TEXT PRIMARY KEY,
    store_id INTEGER NOT NULL REFERENCES stores (id),
    priority INTEGER NOT NULL,
    readonly INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE buckets (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    region TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    ownership TEXT NOT NULL,
    -- In each table: JSON of [kind, grantee, permission]; NULL is private to the owner.
    acl TEXT
);
CREATE INDEX buckets_owner ON buckets (owner_id, name);

-- The current version of each key.
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB,
    manifest_id INTEGER,
    etag TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    content_type TEXT NOT NULL,
    headers TEXT,
    metadata TEXT,
    storage_class TEXT NOT NULL,
    tags TEXT,
    checksum_algorithm TEXT,
    checksum_value TEXT,
    checksum_type TEXT,
    version INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    acl TEXT
);
CREATE UNIQUE INDEX objects_key ON objects (bucket_id, key);
CREATE INDEX objects_digest ON objects (digest) WHERE digest IS NOT NULL;
CREATE INDEX objects_manifest ON objects (manifest_id) WHERE manifest_id IS NOT NULL;

-- Content of more than one block; immutable, shared by copies.
CREATE TABLE manifests (
    id INTEGER PRIMARY KEY,
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    size INTEGER NOT NULL,
    parts TEXT,
    dead_since INTEGER
);
CREATE INDEX manifests_dead ON manifests (dead_since) WHERE dead_since IS NOT NULL;

CREATE TABLE manifest_blocks (
    manifest_id INTEGER NOT NULL,
    start INTEGER NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (manifest_id, start)
) WITHOUT ROWID;
CREATE INDEX manifest_blocks_digest ON manifest_blocks (digest);

-- A live row promises that the store holds the bytes. States: 0 live, 1 dying, 2 damaged. The CRC-64/NVME, as a
-- signed number, is cheap enough to check each whole read.
CREATE TABLE blobs (
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY (store_id, scope, digest)
) WITHOUT ROWID;
CREATE INDEX blobs_not_live ON blobs (store_id, state) WHERE state <> 0;

-- Blobs that may have lost their last reference; the collector looks again.
CREATE TABLE garbage (
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    digest BLOB NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (store_id, scope, digest)
) WITHOUT ROWID;

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    initiated_at INTEGER NOT NULL,
    owner_id TEXT NOT NULL,
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    attributes TEXT NOT NULL,
    checksum_algorithm TEXT,
    checksum_type TEXT,
    acl TEXT,
    completed_at INTEGER,
    completed TEXT
);
CREATE INDEX uploads_key ON uploads (bucket_id, key, id) WHERE completed_at IS NULL;
CREATE INDEX uploads_completed ON uploads (completed_at) WHERE completed_at IS NOT NULL;

CREATE TABLE parts (
    upload_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    size INTEGER NOT NULL,
    digest BLOB,
    manifest_id INTEGER,
    etag TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    checksum_algorithm TEXT,
    checksum_value TEXT,
    PRIMARY KEY (upload_id, number)
);
CREATE INDEX parts_digest ON parts (digest) WHERE digest IS NOT NULL;
CREATE INDEX parts_manifest ON parts (manifest_id) WHERE manifest_id IS NOT NULL;
