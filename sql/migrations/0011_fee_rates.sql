-- The fee of the account's tier: assumed is what the account last showed, and each order keeps what it was taken to be.

ALTER TABLE dca_orders
    ADD COLUMN fee_rate DECIMAL(8, 6) NOT NULL DEFAULT 0.0025 COMMENT 'what fee_qty or fee_usd is computed with: assumed when it was claimed, until it is known better',
    ADD CONSTRAINT fee_rate_is_possible CHECK (fee_rate >= 0 AND fee_rate <= 0.01);

ALTER TABLE dca_control
    ADD COLUMN fee_rate DECIMAL(8, 6) NOT NULL DEFAULT 0.0025 COMMENT 'the rate that the account showed last; assumed of new orders',
    ADD CONSTRAINT fee_rate_of_new_orders_is_possible CHECK (fee_rate >= 0 AND fee_rate <= 0.01);
