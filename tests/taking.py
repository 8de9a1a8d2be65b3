"""Taking from an inbox in a test: what is taken is done with."""

from dca.trading.inbox import Inbox, Item


def taken(inbox: Inbox, seconds: float = 0.0) -> Item | None:
    item = inbox.take(seconds)
    if item is not None:
        inbox.done(item)
    return item
