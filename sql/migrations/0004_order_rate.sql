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
