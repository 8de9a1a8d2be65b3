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
