-- What a bucket was told besides its name and ACL: a text per kind of configuration, in the form its reader knows.
CREATE TABLE bucket_configs (
    bucket_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (bucket_id, name)
) WITHOUT ROWID;

-- The empty version id is the null version. A lock is a mode with its end, a legal hold, or both.
ALTER TABLE objects ADD COLUMN version_id TEXT NOT NULL DEFAULT '';
ALTER TABLE objects ADD COLUMN lock_mode TEXT;
ALTER TABLE objects ADD COLUMN lock_until INTEGER;
ALTER TABLE objects ADD COLUMN legal_hold INTEGER;
ALTER TABLE objects ADD COLUMN encryption TEXT;

ALTER TABLE uploads ADD COLUMN lock_mode TEXT;
ALTER TABLE uploads ADD COLUMN lock_until INTEGER;
ALTER TABLE uploads ADD COLUMN legal_hold INTEGER;
ALTER TABLE uploads ADD COLUMN encryption TEXT;

-- Versions that are not what a key shows: those that were replaced, and delete markers, which show nothing even where
-- they are the latest. ``version`` orders the versions of a key over both tables.
CREATE TABLE versions (
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    version_id TEXT NOT NULL,
    is_marker INTEGER NOT NULL,
    -- When a later version took its place; NULL for a delete marker that is the latest.
    noncurrent_since INTEGER,
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
    parts INTEGER NOT NULL,
    acl TEXT,
    lock_mode TEXT,
    lock_until INTEGER,
    legal_hold INTEGER,
    encryption TEXT
);
CREATE UNIQUE INDEX versions_key ON versions (bucket_id, key, version DESC);
CREATE UNIQUE INDEX versions_id ON versions (bucket_id, key, version_id);
CREATE INDEX versions_digest ON versions (digest) WHERE digest IS NOT NULL;
CREATE INDEX versions_manifest ON versions (manifest_id) WHERE manifest_id IS NOT NULL;

-- An encrypted blob keeps its name, the digest of its plaintext; ``stored`` is the digest of what the store holds,
-- ``sealed_key`` the key to it, readable with a key of the ring below.
ALTER TABLE blobs ADD COLUMN stored BLOB;
ALTER TABLE blobs ADD COLUMN sealed_key BLOB;

CREATE TABLE encryption_keys (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
);
