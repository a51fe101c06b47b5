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

-- An encrypted blob is named, as every blob, by the digest of what its store holds. ``plain`` is the digest of what is
-- in it, by which contents of its scope are found again; NULL when it is no longer to be found. ``sealed_key`` is the
-- key to it, wrapped by a key of the ring below (``ring_key``) or by a customer's key (NULL).
ALTER TABLE blobs ADD COLUMN plain BLOB;
ALTER TABLE blobs ADD COLUMN sealed_key BLOB;
ALTER TABLE blobs ADD COLUMN ring_key INTEGER;
CREATE UNIQUE INDEX blobs_plain ON blobs (store_id, scope, plain) WHERE plain IS NOT NULL;
CREATE INDEX blobs_ring_key ON blobs (ring_key) WHERE ring_key IS NOT NULL;

-- The ring: keys that wrap data keys. ``s3`` keys are sealed by the master key, ``kms`` ones by the key of a key
-- management service that ``key_id`` names, to an encryption context. One of each is in use, those retired only open.
CREATE TABLE encryption_keys (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key_id TEXT NOT NULL,
    context TEXT NOT NULL,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    retired_at INTEGER
);
CREATE UNIQUE INDEX encryption_keys_in_use ON encryption_keys (kind, key_id, context) WHERE retired_at IS NULL;

-- The keys of the key management service that is built in, sealed by the master key.
CREATE TABLE kms_keys (
    key_id TEXT PRIMARY KEY,
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
);
