-- What the bot writes with a lock belongs to the words of that lock. Whoever clears lock_reason by hand leaves the
-- rest behind; beside another reason, or none, it means nothing.

ALTER TABLE dca_assets
    ADD COLUMN lock_checksum INT UNSIGNED NULL COMMENT 'CRC32 of the lock_reason that lock_kind and locked_at were written with: beside any other they mean nothing';

UPDATE dca_assets SET lock_kind = NULL, locked_at = NULL, updated_at = updated_at WHERE lock_reason IS NULL;

UPDATE dca_assets SET lock_checksum = CRC32(lock_reason), updated_at = updated_at WHERE lock_kind IS NOT NULL;
