-- Storage classes that place what is written with them in the store mounted at a mount point.
CREATE TABLE storage_classes (
    name TEXT PRIMARY KEY,
    mount_point TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
