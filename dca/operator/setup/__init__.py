"""From an empty folder to a bot that cron keeps alive, and checking that it is."""
