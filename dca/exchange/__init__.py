"""Alpaca in our words: REST, streams, parsing, request budget."""
