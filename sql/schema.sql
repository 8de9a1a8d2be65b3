-- The whole schema for an empty database:  mysql ... your_database < sql/schema.sql
-- It is sql/migrations/*.sql one after the other, with the record of what was applied; a test
-- keeps the two the same. A database that has some of it is brought up by ./bot migrate instead.

CREATE TABLE IF NOT EXISTS schema_migrations (
    version INT NOT NULL PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    applied_at DATETIME(6) NOT NULL COMMENT 'UTC'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- ---- 0001_readme_tables.sql ----

-- The two tables as the project has documented them from the beginning. A database that was made by
-- hand from that text is taken as it is: nothing here changes an existing table.

CREATE TABLE IF NOT EXISTS dca_assets (
    id INT AUTO_INCREMENT PRIMARY KEY,
    asset_symbol VARCHAR(25) NOT NULL UNIQUE, -- e.g., 'BTC/USD'
    is_enabled BOOLEAN NOT NULL DEFAULT TRUE,
    base_order_amount DECIMAL(20, 10) NOT NULL,
    safety_order_amount DECIMAL(20, 10) NOT NULL,
    max_safety_orders INT NOT NULL,
    safety_order_deviation DECIMAL(10, 4) NOT NULL, -- Percentage price drop to trigger safety order
    take_profit_percent DECIMAL(10, 4) NOT NULL, -- Percentage price rise from avg purchase price to trigger sell
    cooldown_period INT NOT NULL, -- Seconds after a take profit
    buy_order_price_deviation_percent DECIMAL(10, 4) NOT NULL, -- Percent down from last sell to start new cycle (preempts cooldown)
    last_sell_price DECIMAL(20, 10) NULL, -- Price of the last successful take-profit sell for this asset
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE IF NOT EXISTS dca_cycles (
    id INT AUTO_INCREMENT PRIMARY KEY,
    asset_id INT NOT NULL,
    status VARCHAR(20) NOT NULL, -- e.g., 'watching', 'buying', 'selling', 'cooldown', 'complete', 'error'
    quantity DECIMAL(30, 15) NOT NULL DEFAULT 0, -- Total quantity of the asset held in this cycle
    average_purchase_price DECIMAL(20, 10) NOT NULL DEFAULT 0, -- Weighted average purchase price for this cycle
    safety_orders INT NOT NULL DEFAULT 0, -- Number of safety orders filled in this cycle
    latest_order_id VARCHAR(255) NULL, -- Alpaca order ID of the most recent order for this cycle
    last_order_fill_price DECIMAL(20, 10) NULL, -- Fill price of the most recent BUY order in this cycle
    completed_at TIMESTAMP NULL, -- Timestamp when the cycle reached a terminal status ('complete', 'error')
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    FOREIGN KEY (asset_id) REFERENCES dca_assets(id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO schema_migrations (version, name, applied_at) VALUES (1, '0001_readme_tables', UTC_TIMESTAMP(6));

-- ---- 0002_ledger_and_rules.sql ----

-- The ledger of orders, the columns the bot keeps beside the documented ones, and the rules that make
-- the database refuse an impossible row. A rule's name begins with the column it guards, because the
-- name is what the server prints when it refuses. Valid on MariaDB 10.6+ and MySQL 8.0.19+: MySQL wants
-- rule names unique in the whole database, and generated columns VIRTUAL where a foreign key cascades.

ALTER TABLE dca_assets
    ADD COLUMN lock_reason VARCHAR(500) NULL COMMENT 'why the bot does not trade this asset; NULL = it does',
    ADD COLUMN locked_at DATETIME(6) NULL COMMENT 'UTC',
    ADD CONSTRAINT asset_symbol_is_a_pair_like_BTC_USD CHECK (
        asset_symbol LIKE '_%/_%' AND asset_symbol NOT LIKE '%/%/%' AND asset_symbol NOT LIKE '% %'
        AND CAST(asset_symbol AS BINARY) = CAST(UPPER(asset_symbol) AS BINARY)),
    ADD CONSTRAINT is_enabled_is_0_or_1 CHECK (is_enabled IN (0, 1)),
    ADD CONSTRAINT base_order_amount_is_positive CHECK (base_order_amount > 0),
    ADD CONSTRAINT safety_order_amount_is_positive_if_used CHECK (
        safety_order_amount > 0 OR (safety_order_amount = 0 AND max_safety_orders = 0)),
    ADD CONSTRAINT max_safety_orders_is_0_to_1000 CHECK (max_safety_orders BETWEEN 0 AND 1000),
    ADD CONSTRAINT safety_order_deviation_is_above_0_below_100 CHECK (
        safety_order_deviation > 0 AND safety_order_deviation < 100),
    ADD CONSTRAINT take_profit_percent_is_positive CHECK (take_profit_percent > 0),
    ADD CONSTRAINT cooldown_period_is_not_negative CHECK (cooldown_period >= 0),
    ADD CONSTRAINT buy_order_price_deviation_percent_is_0_to_below_100 CHECK (
        buy_order_price_deviation_percent >= 0 AND buy_order_price_deviation_percent < 100),
    ADD CONSTRAINT last_sell_price_is_positive CHECK (last_sell_price > 0);

ALTER TABLE dca_cycles
    ADD COLUMN bought_qty DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'derived: coins bought, before fees',
    ADD COLUMN bought_cost DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'derived: dollars paid for them',
    ADD COLUMN buy_fee_qty DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'derived: coins taken as fee',
    ADD COLUMN sold_qty DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'derived: coins sold',
    ADD COLUMN sold_proceeds DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'derived: dollars received, before fees',
    ADD COLUMN sell_fee DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'derived: dollars taken as fee',
    ADD COLUMN net_profit DECIMAL(30, 15) GENERATED ALWAYS AS (sold_proceeds - sell_fee - bought_cost) VIRTUAL
        COMMENT 'dollars won; of meaning once the cycle is complete',
    ADD COLUMN cooldown_started_at DATETIME(6) NULL COMMENT 'UTC; the sale behind the cooldown',
    ADD COLUMN refusals INT NOT NULL DEFAULT 0 COMMENT 'definite refusals in a row',
    ADD COLUMN next_buy_at DATETIME(6) NULL COMMENT 'UTC; after a refusal: no buy of this cycle before',
    ADD COLUMN next_sell_at DATETIME(6) NULL COMMENT 'UTC; likewise: no sell before',
    ADD COLUMN problem VARCHAR(500) NULL COMMENT 'the last thing that went wrong, in words',
    ADD COLUMN version INT NOT NULL DEFAULT 0 COMMENT 'counts the writes: compare and set',
    ADD COLUMN live_asset_id INT GENERATED ALWAYS AS (IF(status IN ('complete', 'error'), NULL, asset_id)) VIRTUAL,
    ADD UNIQUE KEY asset_id_has_one_live_cycle (live_asset_id),
    ADD CONSTRAINT status_is_known CHECK (
        status IN ('watching', 'buying', 'selling', 'cooldown', 'complete', 'error')),
    ADD CONSTRAINT quantity_is_not_negative CHECK (quantity >= 0),
    ADD CONSTRAINT quantity_is_0_in_cooldown CHECK (quantity = 0 OR status <> 'cooldown'),
    ADD CONSTRAINT average_purchase_price_is_positive_if_held CHECK (
        average_purchase_price > 0 OR (average_purchase_price = 0 AND quantity = 0)),
    ADD CONSTRAINT safety_orders_is_not_negative CHECK (safety_orders >= 0),
    ADD CONSTRAINT last_order_fill_price_is_positive CHECK (last_order_fill_price > 0),
    ADD CONSTRAINT completed_at_is_set_when_the_cycle_has_ended CHECK (
        (completed_at IS NOT NULL) = (status IN ('complete', 'error'))),
    ADD CONSTRAINT refusals_is_not_negative CHECK (refusals >= 0);

-- One row per order that was ever meant to be sent, written before it is sent. dca_cycles' quantity,
-- average_purchase_price, safety_orders, last_order_fill_price and latest_order_id follow from it.
CREATE TABLE dca_orders (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    asset_id INT NOT NULL,
    cycle_id INT NOT NULL,
    seq INT NOT NULL COMMENT 'counts the orders of the cycle from 1',
    purpose VARCHAR(12) NOT NULL COMMENT 'base, safety, take_profit',
    level INT NOT NULL DEFAULT 0 COMMENT 'safety orders: 1 is the first below the base order',
    client_order_id VARCHAR(48) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    symbol VARCHAR(25) NOT NULL,
    side VARCHAR(4) NOT NULL,
    order_type VARCHAR(8) NOT NULL,
    time_in_force VARCHAR(4) NOT NULL,
    qty DECIMAL(30, 15) NOT NULL COMMENT 'exactly as sent',
    limit_price DECIMAL(30, 15) NULL COMMENT 'exactly as sent',
    state VARCHAR(16) NOT NULL COMMENT 'sent: answer not known; acked: the exchange has it; cancel_requested; done: ended at the exchange; rejected: refused; void: proven never to have arrived; ghost: was given up and turned up',
    exchange_order_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL,
    exchange_status VARCHAR(32) NULL,
    filled_qty DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'before fees',
    filled_avg_price DECIMAL(30, 15) NULL,
    filled_value DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'dollars: what was paid or received, before fees',
    fee_qty DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'coins (buys)',
    fee_usd DECIMAL(30, 15) NOT NULL DEFAULT 0 COMMENT 'dollars (sells)',
    fee_source VARCHAR(12) NOT NULL DEFAULT 'assumed' COMMENT 'assumed: the higher rate on the whole; executions: on each execution; position: what the position proved',
    trigger_price DECIMAL(30, 15) NULL COMMENT 'the price the rule compared with',
    quote_price DECIMAL(30, 15) NOT NULL COMMENT 'the ask (buys) or bid (sells) that decided',
    quote_age_ms INT NOT NULL,
    base_order_amount DECIMAL(20, 10) NOT NULL COMMENT 'this and the next five: as they stood when the order was claimed',
    safety_order_amount DECIMAL(20, 10) NOT NULL,
    max_safety_orders INT NOT NULL,
    take_profit_percent DECIMAL(10, 4) NOT NULL,
    min_order_size DECIMAL(30, 15) NOT NULL COMMENT 'the smallest sell the exchange took then',
    qty_increment DECIMAL(30, 15) NOT NULL,
    epoch INT NOT NULL COMMENT 'which start of main_app claimed it',
    created_at DATETIME(6) NOT NULL COMMENT 'UTC, as all times here',
    last_sent_at DATETIME(6) NOT NULL,
    cancel_requested_at DATETIME(6) NULL COMMENT 'first time that we asked for it to be canceled',
    not_found_at DATETIME(6) NULL COMMENT 'first time that the exchange, asked after the quiet period, did not know it',
    closed_at DATETIME(6) NULL,
    version INT NOT NULL DEFAULT 0,
    live_asset_id INT GENERATED ALWAYS AS (IF(state IN ('sent', 'acked', 'cancel_requested'), asset_id, NULL)) VIRTUAL,
    UNIQUE KEY client_order_id_is_used_once (client_order_id),
    UNIQUE KEY cycle_id_and_seq_are_used_once (cycle_id, seq),
    UNIQUE KEY asset_id_has_one_live_order (live_asset_id),
    KEY state_of_order (state, closed_at),
    KEY fee_source_of_order (fee_source, closed_at),
    CONSTRAINT purpose_is_known CHECK (purpose IN ('base', 'safety', 'take_profit')),
    CONSTRAINT level_is_not_negative CHECK (level >= 0),
    CONSTRAINT side_fits_the_purpose CHECK (side = IF(purpose = 'take_profit', 'sell', 'buy')),
    CONSTRAINT order_type_is_known CHECK (order_type IN ('limit', 'market')),
    CONSTRAINT qty_is_positive CHECK (qty > 0),
    CONSTRAINT limit_price_is_set_on_limit_orders CHECK (
        (order_type = 'limit' AND limit_price IS NOT NULL AND limit_price > 0) OR (order_type = 'market' AND limit_price IS NULL)),
    CONSTRAINT state_is_known CHECK (
        state IN ('sent', 'acked', 'cancel_requested', 'done', 'rejected', 'void', 'ghost')),
    CONSTRAINT filled_qty_is_not_negative CHECK (filled_qty >= 0),
    CONSTRAINT filled_avg_price_is_positive_if_filled CHECK (
        filled_qty = 0 OR (filled_avg_price IS NOT NULL AND filled_avg_price > 0)),
    CONSTRAINT fee_qty_is_0_to_filled_qty CHECK (fee_qty >= 0 AND fee_qty <= filled_qty),
    CONSTRAINT fee_usd_is_not_negative CHECK (fee_usd >= 0),
    CONSTRAINT order_is_of_an_asset FOREIGN KEY (asset_id) REFERENCES dca_assets (id),
    CONSTRAINT order_is_of_a_cycle FOREIGN KEY (cycle_id) REFERENCES dca_cycles (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- One row per time an order was sent. A refusal is final only when no other attempt is unanswered.
CREATE TABLE dca_order_attempts (
    order_id BIGINT UNSIGNED NOT NULL,
    attempt INT NOT NULL,
    sent_at DATETIME(6) NOT NULL,
    answer VARCHAR(12) NULL COMMENT 'NULL: none yet; accepted, duplicate, reject; expired: can no longer land',
    PRIMARY KEY (order_id, attempt),
    CONSTRAINT answer_is_known CHECK (answer IN ('accepted', 'duplicate', 'reject', 'expired')),
    CONSTRAINT attempt_is_of_an_order FOREIGN KEY (order_id) REFERENCES dca_orders (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

-- One row: what holds for the whole installation.
CREATE TABLE dca_control (
    id INT NOT NULL PRIMARY KEY,
    install_id CHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'random; part of every client order id',
    account_id VARCHAR(64) NULL COMMENT 'the first account this database traded; no other may',
    epoch INT NOT NULL DEFAULT 0 COMMENT 'counts the starts of main_app',
    mode VARCHAR(10) NOT NULL DEFAULT 'run' COMMENT 'run; exits_only: no buys; halt: no orders',
    CONSTRAINT id_of_control_is_1 CHECK (id = 1),
    CONSTRAINT mode_is_known CHECK (mode IN ('run', 'exits_only', 'halt'))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT IGNORE INTO dca_control (id, install_id) VALUES (1, LEFT(SHA2(CONCAT(UUID(), RAND()), 256), 8));

INSERT INTO schema_migrations (version, name, applied_at) VALUES (2, '0002_ledger_and_rules', UTC_TIMESTAMP(6));

-- ---- 0003_operation.sql ----

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

INSERT INTO schema_migrations (version, name, applied_at) VALUES (3, '0003_operation', UTC_TIMESTAMP(6));

-- ---- 0004_order_rate.sql ----

-- What the order-rate fuse asks at each claim: how many orders were placed lately.

ALTER TABLE dca_orders
    ADD KEY time_of_order (created_at, asset_id, purpose);

ALTER TABLE dca_control
    ADD COLUMN mode_set_at DATETIME(6) NULL COMMENT 'UTC; when the mode was last set: the order-rate fuse counts the orders since';

-- A version at its column's end could not be counted on, and every write of the row would fail.
ALTER TABLE dca_cycles
    ADD CONSTRAINT version_of_cycle_is_possible CHECK (version BETWEEN 0 AND 2000000000);

ALTER TABLE dca_orders
    ADD CONSTRAINT version_of_order_is_possible CHECK (version BETWEEN 0 AND 2000000000);

INSERT INTO schema_migrations (version, name, applied_at) VALUES (4, '0004_order_rate', UTC_TIMESTAMP(6));

-- ---- 0005_history.sql ----

-- So that nothing that is asked again and again grows slower with the years: an index for each question that
-- had none, and for complete cycles what their dust is compared with.

ALTER TABLE dca_cycles
    ADD COLUMN sellable_from DECIMAL(30, 15) NULL COMMENT 'derived, of complete cycles: the largest min_order_size of their orders',
    ADD COLUMN leftover_asset_id INT GENERATED ALWAYS AS (IF(status = 'complete' AND quantity > 0 AND quantity >= COALESCE(sellable_from, 0), asset_id, NULL)) VIRTUAL
        COMMENT 'set if a complete cycle holds what may be sold again: a fill came too late';

UPDATE dca_cycles
   SET sellable_from = (SELECT MAX(o.min_order_size) FROM dca_orders o WHERE o.cycle_id = dca_cycles.id),
       updated_at = updated_at
 WHERE status = 'complete';

ALTER TABLE dca_cycles
    ADD KEY leftover_of_asset (leftover_asset_id),
    ADD KEY end_of_cycle (status, completed_at, asset_id);

ALTER TABLE job_runs
    ADD KEY result_of_job (job, result, started_at);

ALTER TABLE incidents
    ADD KEY end_of_incident (ended_at);

ALTER TABLE mails
    ADD KEY name_of_mail (name, created_at);

ALTER TABLE operator_actions
    ADD KEY action_on_asset (asset_symbol, command);

INSERT INTO schema_migrations (version, name, applied_at) VALUES (5, '0005_history', UTC_TIMESTAMP(6));

-- ---- 0006_missing_positions.sql ----

-- What the consistency checker has seen of positions that are not there: one run is no evidence that coins are
-- gone, so it has to be remembered from run to run.

CREATE TABLE missing_positions (
    cycle_id INT NOT NULL PRIMARY KEY COMMENT 'whose coins the account does not show',
    first_seen_at DATETIME(6) NOT NULL COMMENT 'UTC',
    last_seen_at DATETIME(6) NOT NULL COMMENT 'UTC',
    looks INT NOT NULL COMMENT 'runs of the checker that saw it, one after the other',
    CONSTRAINT missing_position_is_of_a_cycle FOREIGN KEY (cycle_id) REFERENCES dca_cycles (id) ON DELETE CASCADE,
    CONSTRAINT looks_are_possible CHECK (looks > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

INSERT INTO schema_migrations (version, name, applied_at) VALUES (6, '0006_missing_positions', UTC_TIMESTAMP(6));

-- ---- 0007_words.sql ----

-- Words compare as bytes: with the server's own comparison 'HALT', 'halt ' and 'hált' passed for 'halt', and
-- then no process could read the row. What passed so far is put right first, as the server understood it.

UPDATE dca_assets SET lock_kind = COALESCE(ELT(FIELD(lock_kind, 'break', 'crash'), 'break', 'crash'), lock_kind), updated_at = updated_at
 WHERE CAST(lock_kind AS BINARY) NOT IN ('break', 'crash');
ALTER TABLE dca_assets
    DROP CONSTRAINT lock_kind_is_known,
    ADD CONSTRAINT lock_kind_is_known CHECK (CAST(lock_kind AS BINARY) IN ('break', 'crash'));

UPDATE dca_cycles SET status = COALESCE(ELT(FIELD(status, 'watching', 'buying', 'selling', 'cooldown', 'complete', 'error'), 'watching', 'buying', 'selling', 'cooldown', 'complete', 'error'), status), updated_at = updated_at
 WHERE CAST(status AS BINARY) NOT IN ('watching', 'buying', 'selling', 'cooldown', 'complete', 'error');
ALTER TABLE dca_cycles
    DROP CONSTRAINT status_is_known,
    ADD CONSTRAINT status_is_known CHECK (CAST(status AS BINARY) IN ('watching', 'buying', 'selling', 'cooldown', 'complete', 'error'));

UPDATE dca_orders SET purpose = COALESCE(ELT(FIELD(purpose, 'base', 'safety', 'take_profit', 'exit', 'adopted', 'outside'), 'base', 'safety', 'take_profit', 'exit', 'adopted', 'outside'), purpose)
 WHERE CAST(purpose AS BINARY) NOT IN ('base', 'safety', 'take_profit', 'exit', 'adopted', 'outside');
UPDATE dca_orders SET side = COALESCE(ELT(FIELD(side, 'buy', 'sell'), 'buy', 'sell'), side)
 WHERE CAST(side AS BINARY) NOT IN ('buy', 'sell');
UPDATE dca_orders SET order_type = COALESCE(ELT(FIELD(order_type, 'limit', 'market'), 'limit', 'market'), order_type)
 WHERE CAST(order_type AS BINARY) NOT IN ('limit', 'market');
UPDATE dca_orders SET state = COALESCE(ELT(FIELD(state, 'sent', 'acked', 'cancel_requested', 'done', 'rejected', 'void', 'ghost'), 'sent', 'acked', 'cancel_requested', 'done', 'rejected', 'void', 'ghost'), state)
 WHERE CAST(state AS BINARY) NOT IN ('sent', 'acked', 'cancel_requested', 'done', 'rejected', 'void', 'ghost');
UPDATE dca_orders SET fee_source = COALESCE(ELT(FIELD(fee_source, 'assumed', 'executions', 'position'), 'assumed', 'executions', 'position'), 'assumed')
 WHERE CAST(fee_source AS BINARY) NOT IN ('assumed', 'executions', 'position');
ALTER TABLE dca_orders
    DROP CONSTRAINT purpose_is_known,
    DROP CONSTRAINT order_type_is_known,
    DROP CONSTRAINT state_is_known,
    DROP CONSTRAINT limit_price_is_set_on_limit_orders,
    ADD CONSTRAINT purpose_is_known CHECK (CAST(purpose AS BINARY) IN ('base', 'safety', 'take_profit', 'exit', 'adopted', 'outside')),
    ADD CONSTRAINT side_is_known CHECK (CAST(side AS BINARY) IN ('buy', 'sell')),
    ADD CONSTRAINT order_type_is_known CHECK (CAST(order_type AS BINARY) IN ('limit', 'market')),
    ADD CONSTRAINT state_is_known CHECK (CAST(state AS BINARY) IN ('sent', 'acked', 'cancel_requested', 'done', 'rejected', 'void', 'ghost')),
    ADD CONSTRAINT fee_source_is_known CHECK (CAST(fee_source AS BINARY) IN ('assumed', 'executions', 'position')),
    ADD CONSTRAINT limit_price_is_set_on_limit_orders CHECK (
        CAST(order_type AS BINARY) NOT IN ('limit', 'market')
        OR (order_type = 'limit' AND limit_price IS NOT NULL AND limit_price > 0) OR (order_type = 'market' AND limit_price IS NULL));

UPDATE dca_order_attempts SET answer = COALESCE(ELT(FIELD(answer, 'accepted', 'duplicate', 'reject', 'expired'), 'accepted', 'duplicate', 'reject', 'expired'), answer)
 WHERE CAST(answer AS BINARY) NOT IN ('accepted', 'duplicate', 'reject', 'expired');
ALTER TABLE dca_order_attempts
    DROP CONSTRAINT answer_is_known,
    ADD CONSTRAINT answer_is_known CHECK (CAST(answer AS BINARY) IN ('accepted', 'duplicate', 'reject', 'expired'));

UPDATE dca_control SET mode = COALESCE(ELT(FIELD(mode, 'run', 'exits_only', 'halt'), 'run', 'exits_only', 'halt'), mode)
 WHERE CAST(mode AS BINARY) NOT IN ('run', 'exits_only', 'halt');
ALTER TABLE dca_control
    DROP CONSTRAINT mode_is_known,
    ADD CONSTRAINT mode_is_known CHECK (CAST(mode AS BINARY) IN ('run', 'exits_only', 'halt'));

UPDATE job_runs SET result = COALESCE(ELT(FIELD(result, 'done', 'failed', 'stood_down'), 'done', 'failed', 'stood_down'), result)
 WHERE CAST(result AS BINARY) NOT IN ('done', 'failed', 'stood_down');
ALTER TABLE job_runs
    DROP CONSTRAINT result_is_known,
    ADD CONSTRAINT result_is_known CHECK (CAST(result AS BINARY) IN ('done', 'failed', 'stood_down'));

UPDATE incidents SET kind = COALESCE(ELT(FIELD(kind, 'money', 'health'), 'money', 'health'), kind)
 WHERE CAST(kind AS BINARY) NOT IN ('money', 'health');
ALTER TABLE incidents
    DROP CONSTRAINT kind_of_incident_is_known,
    ADD CONSTRAINT kind_of_incident_is_known CHECK (CAST(kind AS BINARY) IN ('money', 'health'));

INSERT INTO schema_migrations (version, name, applied_at) VALUES (7, '0007_words', UTC_TIMESTAMP(6));

-- ---- 0008_locks.sql ----

-- What the bot writes with a lock belongs to the words of that lock. Whoever clears lock_reason by hand leaves the
-- rest behind; beside another reason, or none, it means nothing.

ALTER TABLE dca_assets
    ADD COLUMN lock_checksum INT UNSIGNED NULL COMMENT 'CRC32 of the lock_reason that lock_kind and locked_at were written with: beside any other they mean nothing';

UPDATE dca_assets SET lock_kind = NULL, locked_at = NULL, updated_at = updated_at WHERE lock_reason IS NULL;

UPDATE dca_assets SET lock_checksum = CRC32(lock_reason), updated_at = updated_at WHERE lock_kind IS NOT NULL;

INSERT INTO schema_migrations (version, name, applied_at) VALUES (8, '0008_locks', UTC_TIMESTAMP(6));

-- ---- 0009_orders.sql ----

-- Orders that came back from the exchange otherwise than they were sent, and orders that were given up and turned
-- up after all: what they did stays somebody's decision until ./bot accept, adopt or sell has made it. And so that
-- a cycle with thousands of orders that bought nothing is read as fast as any other: which of its orders count.

ALTER TABLE dca_orders
    ADD COLUMN difference VARCHAR(300) NULL COMMENT 'how it came back from the exchange otherwise than it was sent',
    ADD COLUMN decided_at DATETIME(6) NULL COMMENT 'UTC; when the operator said what becomes of what it did, where that was asked';

UPDATE dca_orders SET decided_at = created_at WHERE state = 'ghost';

ALTER TABLE dca_orders
    ADD COLUMN undecided_asset_id INT GENERATED ALWAYS AS (IF(decided_at IS NULL AND (difference IS NOT NULL OR (state = 'ghost' AND filled_qty > 0)), asset_id, NULL)) VIRTUAL
        COMMENT 'set while the operator has to decide',
    ADD COLUMN counts_in_cycle_id INT GENERATED ALWAYS AS (IF(filled_qty > 0 OR state IN ('sent', 'acked', 'cancel_requested'), cycle_id, NULL)) VIRTUAL
        COMMENT 'set for orders that may fill, or have',
    ADD COLUMN known_seq INT GENERATED ALWAYS AS (IF(exchange_order_id IS NULL, NULL, seq)) VIRTUAL
        COMMENT 'seq of orders that the exchange knows',
    ADD KEY undecided_order (undecided_asset_id),
    ADD KEY order_that_counts (counts_in_cycle_id),
    ADD KEY known_order_of_cycle (cycle_id, known_seq);

INSERT INTO schema_migrations (version, name, applied_at) VALUES (9, '0009_orders', UTC_TIMESTAMP(6));

-- ---- 0010_times.sql ----

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

INSERT INTO schema_migrations (version, name, applied_at) VALUES (10, '0010_times', UTC_TIMESTAMP(6));

-- ---- 0011_fee_rates.sql ----

-- The fee of the account's tier: assumed is what the account last showed, and each order keeps what it was taken to be.

ALTER TABLE dca_orders
    ADD COLUMN fee_rate DECIMAL(8, 6) NOT NULL DEFAULT 0.0025 COMMENT 'what fee_qty or fee_usd is computed with: assumed when it was claimed, until it is known better',
    ADD CONSTRAINT fee_rate_is_possible CHECK (fee_rate >= 0 AND fee_rate <= 0.01);

ALTER TABLE dca_control
    ADD COLUMN fee_rate DECIMAL(8, 6) NOT NULL DEFAULT 0.0025 COMMENT 'the rate that the account showed last; assumed of new orders',
    ADD CONSTRAINT fee_rate_of_new_orders_is_possible CHECK (fee_rate >= 0 AND fee_rate <= 0.01);

INSERT INTO schema_migrations (version, name, applied_at) VALUES (11, '0011_fee_rates', UTC_TIMESTAMP(6));

-- ---- 0012_account_made_at.sql ----

-- Which exchange an account is of: the same id made at another time is another account, at an exchange that was
-- started anew.

ALTER TABLE dca_control
    ADD COLUMN account_made_at DATETIME(6) NULL COMMENT 'UTC; when the exchange made the account, as it said at the first start';

INSERT INTO schema_migrations (version, name, applied_at) VALUES (12, '0012_account_made_at', UTC_TIMESTAMP(6));

-- ---- 0013_owner.sql ----

-- Whose database it is: a second installation on it says so, and stands down.

ALTER TABLE dca_control
    ADD COLUMN owner VARCHAR(300) NULL COMMENT 'machine, folder and mark of the installation whose main_app started last',
    ADD COLUMN owner_seen_at DATETIME(6) NULL COMMENT 'UTC; its last sign of life: three minutes later the database is free';

INSERT INTO schema_migrations (version, name, applied_at) VALUES (13, '0013_owner', UTC_TIMESTAMP(6));

-- ---- 0014_charged.sql ----

-- What the exchange's list of fees says an order cost is the last word on its fee.

ALTER TABLE dca_orders
    DROP CONSTRAINT fee_source_is_known,
    ADD CONSTRAINT fee_source_is_known CHECK (CAST(fee_source AS BINARY) IN ('assumed', 'executions', 'position', 'charged')),
    MODIFY COLUMN fee_source VARCHAR(12) NOT NULL DEFAULT 'assumed' COMMENT 'assumed: the rate in fee_rate on the whole; executions: on each execution; position: what the position proved; charged: what the exchange lists as charged';

INSERT INTO schema_migrations (version, name, applied_at) VALUES (14, '0014_charged', UTC_TIMESTAMP(6));
