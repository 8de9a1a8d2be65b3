"""How many database connections main_app may have, so that the caretakers get theirs. Pure."""

OTHERS = 5
"""What runs beside main_app: the caretakers, which cron starts in the same minute, and a command."""
LEAST = 2
"""Below it main_app and the caretakers shut each other out."""

REMEDY = "raise max_user_connections (the user's or the server's) or max_connections"


def share(limit: int, workers: int) -> int:
    """Connections of main_app, of so many that the server grants: one for each worker and one for its loop
    where that leaves enough for the others, and half of them at least."""
    return max(1, min(workers + 1, max(limit - OTHERS, limit // 2)))


def need(assets: int, workers: int) -> int:
    """How many nobody would have to wait for."""
    return min(assets, workers) + 1 + OTHERS


def shortage(limit: int, assets: int, workers: int) -> str | None:
    """What is short, in words; None if nothing is."""
    if limit >= need(assets, workers):
        return None
    return (
        f"the database grants {limit} connections at a time, {need(assets, workers)} would be used: main_app "
        f"makes do with {share(limit, workers)}, and what cannot have one waits (sales go first)"
    )
