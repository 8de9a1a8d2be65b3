-- Orders that came back from the exchange otherwise than they were sent, and orders that were given up and turned
-- up after all: what they did stays somebody's decision until ./bot accept, adopt or sell has made it.

ALTER TABLE dca_orders
    ADD COLUMN difference VARCHAR(300) NULL COMMENT 'how it came back from the exchange otherwise than it was sent',
    ADD COLUMN decided_at DATETIME(6) NULL COMMENT 'UTC; when the operator said what becomes of what it did, where that was asked';

UPDATE dca_orders SET decided_at = created_at WHERE state = 'ghost';

ALTER TABLE dca_orders
    ADD COLUMN undecided_asset_id INT GENERATED ALWAYS AS (IF(decided_at IS NULL AND (difference IS NOT NULL OR (state = 'ghost' AND filled_qty > 0)), asset_id, NULL)) VIRTUAL
        COMMENT 'set while the operator has to decide',
    ADD KEY undecided_order (undecided_asset_id);
