-- What admins did: a row an action, linked to the one before by its hash. Rows are added and never changed.
CREATE TABLE audit_log (
    seq INTEGER NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    user_id TEXT,
    action TEXT NOT NULL,
    outcome TEXT NOT NULL,
    entry TEXT NOT NULL,
    hash BLOB NOT NULL
);
CREATE INDEX audit_log_by_time ON audit_log (at);
CREATE INDEX audit_log_by_user ON audit_log (user_id, seq);
CREATE INDEX audit_log_by_action ON audit_log (action, seq);
CREATE TRIGGER audit_log_keeps BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER audit_log_lasts BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
-- How far the log reaches, proven by a key of its own that the master key seals: a tail that was cut off is missed.
CREATE TABLE audit_head (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL,
    proof BLOB NOT NULL,
    sealed_key BLOB NOT NULL
);
-- When a key was last used, within some minutes.
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
