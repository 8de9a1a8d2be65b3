-- What running the suite for months needs: runs of the caretakers, incidents and the mail about them, what
-- the operator did, and orders that were traded outside the bot and taken into its books.

ALTER TABLE dca_assets
    ADD COLUMN lock_kind VARCHAR(8) NULL COMMENT 'break: the books disagree, ends when they agree; crash: the bot died over it, ends by hand',
    ADD CONSTRAINT lock_kind_is_known CHECK (lock_kind IN ('break', 'crash'));

UPDATE dca_assets SET lock_kind = IF(lock_reason LIKE 'main_app died%', 'crash', 'break') WHERE lock_reason IS NOT NULL;

ALTER TABLE dca_cycles
    ADD COLUMN exit_requested_at DATETIME(6) NULL COMMENT 'UTC; the operator wants what it holds sold at the next good quote';

ALTER TABLE dca_orders
    DROP CONSTRAINT purpose_is_known,
    DROP CONSTRAINT side_fits_the_purpose,
    MODIFY COLUMN purpose VARCHAR(12) NOT NULL COMMENT 'base, safety, take_profit; exit: sold because the operator said so; adopted, outside: bought or sold outside the bot and booked here',
    ADD CONSTRAINT purpose_is_known CHECK (purpose IN ('base', 'safety', 'take_profit', 'exit', 'adopted', 'outside')),
    ADD CONSTRAINT side_fits_the_purpose CHECK (side = IF(purpose IN ('take_profit', 'exit', 'outside'), 'sell', 'buy'));

ALTER TABLE dca_control
    ADD COLUMN mode_reason VARCHAR(300) NULL COMMENT 'who set the mode, and why';

-- One row per run of a caretaker: one that stopped running is noticed by the others.
CREATE TABLE job_runs (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    job VARCHAR(40) NOT NULL COMMENT 'the script, without .py',
    started_at DATETIME(6) NOT NULL COMMENT 'UTC, as all times here',
    ended_at DATETIME(6) NULL COMMENT 'NULL: still running, or killed',
    result VARCHAR(12) NULL COMMENT 'done, failed, stood_down (maintenance)',
    checked INT NOT NULL DEFAULT 0,
    changed INT NOT NULL DEFAULT 0,
    details VARCHAR(500) NULL,
    KEY job_and_time (job, started_at),
    KEY time_of_run (started_at),
    CONSTRAINT result_is_known CHECK (result IN ('done', 'failed', 'stood_down'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Something that is wrong for a while: one mail when it begins, reminders, one when it is over.
CREATE TABLE incidents (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(120) NOT NULL COMMENT 'what and whose, like: break BTC/USD',
    kind VARCHAR(8) NOT NULL COMMENT 'money, health',
    subject VARCHAR(200) NOT NULL,
    evidence TEXT NOT NULL COMMENT 'the numbers on both sides, what the bot did, what to run',
    began_at DATETIME(6) NOT NULL COMMENT 'UTC, as all times here',
    seen_at DATETIME(6) NOT NULL COMMENT 'last time that it still was so',
    ended_at DATETIME(6) NULL,
    mails INT NOT NULL DEFAULT 0 COMMENT 'the first one and the reminders',
    open_name VARCHAR(120) GENERATED ALWAYS AS (IF(ended_at IS NULL, name, NULL)) VIRTUAL,
    UNIQUE KEY name_is_open_once (open_name),
    KEY time_of_incident (began_at),
    CONSTRAINT kind_of_incident_is_known CHECK (kind IN ('money', 'health'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- Mail that is to be sent, or was.
CREATE TABLE mails (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(120) NOT NULL COMMENT 'the incident, cycle closed, digest, test',
    subject VARCHAR(200) NOT NULL,
    body TEXT NOT NULL,
    created_at DATETIME(6) NOT NULL COMMENT 'UTC, as all times here',
    sent_at DATETIME(6) NULL,
    tries INT NOT NULL DEFAULT 0,
    last_error VARCHAR(300) NULL,
    KEY unsent (sent_at, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- What the operator did with ./bot: one row per command that changed something.
CREATE TABLE operator_actions (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    at DATETIME(6) NOT NULL COMMENT 'UTC',
    who VARCHAR(64) NOT NULL COMMENT 'user of this machine',
    command VARCHAR(300) NOT NULL,
    asset_symbol VARCHAR(25) NULL,
    effect VARCHAR(1000) NOT NULL,
    KEY time_of_action (at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
