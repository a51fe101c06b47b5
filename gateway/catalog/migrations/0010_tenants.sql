-- What a tenant may use and what it uses. Triggers count, so that no statement that touches what is counted can be
-- forgotten; NULL is no limit. Bytes are logical: of every version and of the parts of uploads under way, whatever is shared.
ALTER TABLE tenants ADD COLUMN quota_bytes INTEGER;
ALTER TABLE tenants ADD COLUMN quota_objects INTEGER;
ALTER TABLE tenants ADD COLUMN rate REAL;
ALTER TABLE tenants ADD COLUMN objects INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN object_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN versions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN version_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN parts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tenants ADD COLUMN part_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE tenants SET
    objects = (SELECT count(*) FROM objects AS o JOIN buckets AS b ON b.id = o.bucket_id WHERE b.tenant = tenants.id),
    object_bytes = (SELECT coalesce(sum(o.size), 0) FROM objects AS o JOIN buckets AS b ON b.id = o.bucket_id WHERE b.tenant = tenants.id),
    versions = (SELECT count(*) FROM versions AS v JOIN buckets AS b ON b.id = v.bucket_id WHERE b.tenant = tenants.id AND v.is_marker = 0),
    version_bytes = (SELECT coalesce(sum(v.size), 0) FROM versions AS v JOIN buckets AS b ON b.id = v.bucket_id WHERE b.tenant = tenants.id),
    parts = (SELECT count(*) FROM parts AS p JOIN uploads AS u ON u.id = p.upload_id JOIN buckets AS b ON b.id = u.bucket_id WHERE b.tenant = tenants.id),
    part_bytes = (SELECT coalesce(sum(p.size), 0) FROM parts AS p JOIN uploads AS u ON u.id = p.upload_id JOIN buckets AS b ON b.id = u.bucket_id WHERE b.tenant = tenants.id);
CREATE TRIGGER objects_come AFTER INSERT ON objects BEGIN UPDATE tenants SET objects = objects + 1, object_bytes = object_bytes + NEW.size WHERE id = (SELECT tenant FROM buckets WHERE id = NEW.bucket_id); END;
CREATE TRIGGER objects_change AFTER UPDATE OF size ON objects WHEN NEW.size <> OLD.size BEGIN UPDATE tenants SET object_bytes = object_bytes + NEW.size - OLD.size WHERE id = (SELECT tenant FROM buckets WHERE id = NEW.bucket_id); END;
CREATE TRIGGER objects_go AFTER DELETE ON objects BEGIN UPDATE tenants SET objects = objects - 1, object_bytes = object_bytes - OLD.size WHERE id = (SELECT tenant FROM buckets WHERE id = OLD.bucket_id); END;
CREATE TRIGGER versions_come AFTER INSERT ON versions WHEN NEW.is_marker = 0 BEGIN UPDATE tenants SET versions = versions + 1, version_bytes = version_bytes + NEW.size WHERE id = (SELECT tenant FROM buckets WHERE id = NEW.bucket_id); END;
CREATE TRIGGER versions_go AFTER DELETE ON versions WHEN OLD.is_marker = 0 BEGIN UPDATE tenants SET versions = versions - 1, version_bytes = version_bytes - OLD.size WHERE id = (SELECT tenant FROM buckets WHERE id = OLD.bucket_id); END;
CREATE TRIGGER parts_come AFTER INSERT ON parts BEGIN UPDATE tenants SET parts = parts + 1, part_bytes = part_bytes + NEW.size WHERE id = (SELECT b.tenant FROM uploads AS u JOIN buckets AS b ON b.id = u.bucket_id WHERE u.id = NEW.upload_id); END;
CREATE TRIGGER parts_go AFTER DELETE ON parts BEGIN UPDATE tenants SET parts = parts - 1, part_bytes = part_bytes - OLD.size WHERE id = (SELECT b.tenant FROM uploads AS u JOIN buckets AS b ON b.id = u.bucket_id WHERE u.id = OLD.upload_id); END;
CREATE TABLE user_groups (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE TABLE group_members (
    group_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (group_id, user_id)
) WITHOUT ROWID;
CREATE INDEX group_members_user ON group_members (user_id);
-- A role below a prefix of a bucket, the bucket by its id, so that another bucket of the same name inherits nothing;
-- bucket 0 stands for every bucket of the tenant. The prefix ends in no slash; empty, it is all of the bucket.
CREATE TABLE path_grants (
    tenant TEXT NOT NULL,
    bucket_id INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    role TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, bucket_id, prefix, kind, subject)
) WITHOUT ROWID;
CREATE INDEX path_grants_subject ON path_grants (kind, subject);
