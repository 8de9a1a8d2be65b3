-- Which exchange an account is of: the same id made at another time is another account, at an exchange that was
-- started anew.

ALTER TABLE dca_control
    ADD COLUMN account_made_at DATETIME(6) NULL COMMENT 'UTC; when the exchange made the account, as it said at the first start';
