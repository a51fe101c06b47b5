-- Rows lie in the order of their keys, so that a page of a listing is as many neighbours, in whatever order they were
-- put: before, each was found by the index and then fetched from where it had been put. What a listing tells comes first
-- in a row, so that long metadata, which continues on pages of its own, is not read for it. The rows are written anew,
-- which takes some ten seconds for a million and, for a while, four times their room.
CREATE TABLE objects_by_key (
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    storage_class TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    checksum_algorithm TEXT,
    checksum_type TEXT,
    version INTEGER NOT NULL,
    version_id TEXT NOT NULL DEFAULT '',
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    digest BLOB,
    manifest_id INTEGER,
    created_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    checksum_value TEXT,
    parts INTEGER NOT NULL,
    lock_mode TEXT,
    lock_until INTEGER,
    legal_hold INTEGER,
    encryption TEXT,
    acl TEXT,
    tags TEXT,
    headers TEXT,
    metadata TEXT,
    PRIMARY KEY (bucket_id, key)
) WITHOUT ROWID;
INSERT INTO objects_by_key (
    bucket_id, key, size, etag, modified_at, storage_class, owner_id, checksum_algorithm, checksum_type, version,
    version_id, store_id, scope, digest, manifest_id, created_at, content_type, checksum_value, parts, lock_mode,
    lock_until, legal_hold, encryption, acl, tags, headers, metadata
) SELECT
    bucket_id, key, size, etag, modified_at, storage_class, owner_id, checksum_algorithm, checksum_type, version,
    version_id, store_id, scope, digest, manifest_id, created_at, content_type, checksum_value, parts, lock_mode,
    lock_until, legal_hold, encryption, acl, tags, headers, metadata
FROM objects ORDER BY bucket_id, key;
DROP TABLE objects;
ALTER TABLE objects_by_key RENAME TO objects;
CREATE INDEX objects_digest ON objects (digest) WHERE digest IS NOT NULL;
CREATE INDEX objects_manifest ON objects (manifest_id) WHERE manifest_id IS NOT NULL;
CREATE TRIGGER objects_come AFTER INSERT ON objects BEGIN UPDATE tenants SET objects = objects + 1, object_bytes = object_bytes + NEW.size WHERE id = (SELECT tenant FROM buckets WHERE id = NEW.bucket_id); END;
CREATE TRIGGER objects_change AFTER UPDATE OF size ON objects WHEN NEW.size <> OLD.size BEGIN UPDATE tenants SET object_bytes = object_bytes + NEW.size - OLD.size WHERE id = (SELECT tenant FROM buckets WHERE id = NEW.bucket_id); END;
CREATE TRIGGER objects_go AFTER DELETE ON objects BEGIN UPDATE tenants SET objects = objects - 1, object_bytes = object_bytes - OLD.size WHERE id = (SELECT tenant FROM buckets WHERE id = OLD.bucket_id); END;

-- The same of versions that are not shown.
CREATE TABLE versions_by_key (
    bucket_id INTEGER NOT NULL,
    key BLOB NOT NULL,
    version INTEGER NOT NULL,
    version_id TEXT NOT NULL,
    is_marker INTEGER NOT NULL,
    -- When a later version took its place; NULL for a delete marker that is the latest.
    noncurrent_since INTEGER,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified_at INTEGER NOT NULL,
    storage_class TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    checksum_algorithm TEXT,
    checksum_type TEXT,
    store_id INTEGER NOT NULL,
    scope TEXT NOT NULL,
    digest BLOB,
    manifest_id INTEGER,
    created_at INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    checksum_value TEXT,
    parts INTEGER NOT NULL,
    lock_mode TEXT,
    lock_until INTEGER,
    legal_hold INTEGER,
    encryption TEXT,
    acl TEXT,
    tags TEXT,
    headers TEXT,
    metadata TEXT,
    PRIMARY KEY (bucket_id, key, version DESC)
) WITHOUT ROWID;
INSERT INTO versions_by_key (
    bucket_id, key, version, version_id, is_marker, noncurrent_since, size, etag, modified_at, storage_class, owner_id,
    checksum_algorithm, checksum_type, store_id, scope, digest, manifest_id, created_at, content_type, checksum_value,
    parts, lock_mode, lock_until, legal_hold, encryption, acl, tags, headers, metadata
) SELECT
    bucket_id, key, version, version_id, is_marker, noncurrent_since, size, etag, modified_at, storage_class, owner_id,
    checksum_algorithm, checksum_type, store_id, scope, digest, manifest_id, created_at, content_type, checksum_value,
    parts, lock_mode, lock_until, legal_hold, encryption, acl, tags, headers, metadata
FROM versions ORDER BY bucket_id, key, version DESC;
DROP TABLE versions;
ALTER TABLE versions_by_key RENAME TO versions;
CREATE UNIQUE INDEX versions_id ON versions (bucket_id, key, version_id);
CREATE INDEX versions_digest ON versions (digest) WHERE digest IS NOT NULL;
CREATE INDEX versions_manifest ON versions (manifest_id) WHERE manifest_id IS NOT NULL;
CREATE TRIGGER versions_come AFTER INSERT ON versions WHEN NEW.is_marker = 0 BEGIN UPDATE tenants SET versions = versions + 1, version_bytes = version_bytes + NEW.size WHERE id = (SELECT tenant FROM buckets WHERE id = NEW.bucket_id); END;
CREATE TRIGGER versions_go AFTER DELETE ON versions WHEN OLD.is_marker = 0 BEGIN UPDATE tenants SET versions = versions - 1, version_bytes = version_bytes - OLD.size WHERE id = (SELECT tenant FROM buckets WHERE id = OLD.bucket_id); END;
