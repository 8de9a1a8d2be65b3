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
