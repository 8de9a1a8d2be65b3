"""What cron runs against both books."""
