-- Whose database it is: a second installation on it says so, and stands down.

ALTER TABLE dca_control
    ADD COLUMN owner VARCHAR(300) NULL COMMENT 'machine, folder and mark of the installation whose main_app started last',
    ADD COLUMN owner_seen_at DATETIME(6) NULL COMMENT 'UTC; its last sign of life: three minutes later the database is free';
