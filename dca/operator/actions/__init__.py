"""What the operator makes the bot do."""
