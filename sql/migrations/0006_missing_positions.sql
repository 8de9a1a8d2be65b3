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
