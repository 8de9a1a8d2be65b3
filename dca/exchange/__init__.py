"""The interface to Alpaca: REST, streams, parsing, request budget."""
