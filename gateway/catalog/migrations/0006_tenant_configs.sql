-- What holds for all buckets of a tenant: a text per kind of configuration, as in bucket_configs.
CREATE TABLE tenant_configs (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) WITHOUT ROWID;
