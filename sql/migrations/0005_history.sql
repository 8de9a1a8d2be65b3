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
