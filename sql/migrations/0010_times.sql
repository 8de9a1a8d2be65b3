-- TIMESTAMP ends in January 2038, and has no fractions of seconds. All times are DATETIME(6) now, and UTC as before:
-- a server converts a TIMESTAMP by its session's time zone, so that is set first.

SET time_zone = '+00:00';

ALTER TABLE dca_assets
    MODIFY COLUMN created_at DATETIME(6) NULL DEFAULT (UTC_TIMESTAMP(6)) COMMENT 'UTC',
    MODIFY COLUMN updated_at DATETIME(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'in the time zone of the session that wrote it: UTC if the bot did';

ALTER TABLE dca_cycles
    MODIFY COLUMN completed_at DATETIME(6) NULL COMMENT 'UTC; when the cycle ended (complete, error)',
    MODIFY COLUMN created_at DATETIME(6) NULL DEFAULT (UTC_TIMESTAMP(6)) COMMENT 'UTC',
    MODIFY COLUMN updated_at DATETIME(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6) COMMENT 'in the time zone of the session that wrote it: UTC if the bot did';
