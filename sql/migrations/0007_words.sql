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
