"""The part of store.Transaction that reads what reports show. Nothing here is locked or changed."""

from dca.store_statements import Statements


class Reports(Statements):
    """Statements that only read, for people."""
