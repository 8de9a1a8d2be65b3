"""What has to have happened in a long enough run: every kind of fault, and every branch that recovers.

A proof in which something never happened proves nothing about it.
"""

from collections import Counter

from proof.simulation.plan import KINDS

LEAST = 10
"""How often each has to have come."""
ENOUGH_SEEDS = 2_000
"""A run of fewer seeds is not asked."""

# Not among them: a duplicate id, and a refusal while an earlier attempt is unanswered. While the exchange
# keeps its promises (A2, A3) an order is sent again only after it could not arrive any more; both have tests
# of their own (F21, F22).
BRANCHES: dict[str, tuple[str, ...]] = {
    # what the log says when a branch is taken: any of these
    "sent again under its own id": ("order: sending again",),
    "given up after two denials": ("order: void",),
    "outcome unknown": ("order: outcome unknown",),
    "refused for good": ("order: refused",),
    "partly filled": ("order: partly filled",),
    "canceled by us": ("order: asked to cancel", "order: canceling"),
    "cooldown ended early": ("cycle: cooldown ended early",),
    "cooldown over": ("cycle: cooldown over",),
    "row computed anew": ("cycle: computed anew from its orders",),
    "asset locked": ("asset: locked",),
    "asset unlocked": ("asset: unlocked",),
    "ended as error": ("cycle: ended as error",),
    "sell held back": ("sell: held back",),
    "not sent, too late": ("order: not sent",),
}


def missing(happened: Counter[str], told: Counter[str]) -> list[str]:
    """What came too rarely, in words; empty if nothing did."""
    found = [f"{kind}: {happened[kind]}" for kind in KINDS if happened[kind] < LEAST]
    for branch, lines in BRANCHES.items():
        count = sum(number for line, number in told.items() if line.startswith(lines))
        if count < LEAST:
            found.append(f"{branch}: {count}")
    return found
