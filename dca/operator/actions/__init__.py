"""Commands that change what the bot does."""
