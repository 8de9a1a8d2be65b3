"""What a person runs: the commands of ./bot that need the database or the exchange."""
