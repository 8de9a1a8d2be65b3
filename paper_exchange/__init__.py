"""A local Alpaca for crypto paper trading: the real alpaca-py talks to it by URL override alone."""
