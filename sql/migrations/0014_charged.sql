-- What the exchange's list of fees says an order cost is the last word on its fee.

ALTER TABLE dca_orders
    DROP CONSTRAINT fee_source_is_known,
    ADD CONSTRAINT fee_source_is_known CHECK (CAST(fee_source AS BINARY) IN ('assumed', 'executions', 'position', 'charged')),
    MODIFY COLUMN fee_source VARCHAR(12) NOT NULL DEFAULT 'assumed' COMMENT 'assumed: the rate in fee_rate on the whole; executions: on each execution; position: what the position proved; charged: what the exchange lists as charged';
