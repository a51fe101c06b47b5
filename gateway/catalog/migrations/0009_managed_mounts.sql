-- The mounts file that a mount was made from; NULL for what was mounted by hand.
ALTER TABLE mounts ADD COLUMN managed_by TEXT;
