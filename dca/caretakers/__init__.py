"""The jobs that cron runs against the ledger and the exchange."""
