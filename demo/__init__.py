"""The demo: the real bot as its own process on the local exchange, watched and then audited.

Nothing here is shared with the bot: it is started, looked at from outside, and checked.
"""
