"""What is checked: the protocol as it is, or with one thing of it broken; how long a cycle; which faults."""

from dataclasses import dataclass, field

from proof.model.state import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How dca does it. Each switch is one thing that could be done otherwise (faults.md D.7)."""

    write_first: bool = True
    """The claim is committed before its POST."""
    timeout_is_unknown: bool = True
    """False: no answer counts as a definite no."""
    quiet_before_denial: bool = True
    """False: the first 404 gives an order up."""
    same_id: bool = True
    """False: an order without an answer is placed again under a new id."""
    reject_needs_all_answers: bool = True
    """False: a 403 is final although another attempt is unanswered."""
    resend_under_lock: bool = True
    """False: what the look-ups said is acted upon without reading the row again."""
    cancel_is_confirmed: bool = True
    """False: a DELETE that was sent frees the cycle."""
    fills_merge: bool = True
    """False: an event's fill is added instead of merged."""
    match_by_our_id: bool = True
    """False: an event of an order whose exchange id is not stored yet is dropped."""
    gives_up: bool = True
    """False: an order that never arrived is sent again for ever (no `void`)."""
    reconciles: bool = True
    """False: nothing is ever looked up."""
    http_timeout: bool = True
    """False: who waits for an answer waits for ever."""
    one_live_order: bool = True
    """False: main_app claims by what it remembers; no row lock, no unique key."""
    epoch_guards: bool = True
    """False: a main_app that was overtaken claims and sends again as before."""
    only_main_gives_up: bool = False
    """True: a caretaker books what a look-up finds, and concludes nothing from one that finds nothing."""
    denial_counts_from_asking: bool = True
    """False: a denial counts by the time at which it is booked, not by that at which was asked."""
    deadline_before_send: bool = True
    """False: an order is sent however long after its claim."""
    deadline_before_resend: bool = True
    """False: an order is sent again however long after that was written down."""


DCA = Protocol()
"""The protocol as dca has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nature:
    """What the protocol assumes of the exchange (faults.md D.1); False: the assumption does not hold."""

    ids_are_unique: bool = True
    """A1: an id that was used once is never taken again."""
    seen_within_quiet: bool = True
    """A2: an accepted order is visible to look-ups within QUIET."""
    lands_within_quiet: bool = True
    """A3: a POST has its effect within QUIET, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """One run of the checker. `buys`: at most so many before the sell; `lots`: fills that a buy takes."""

    budget: Budget
    buys: int = 1
    lots: int = 1
    caretaker: bool = True
    """Whether there is one at all."""
    protocol: Protocol = field(default_factory=Protocol)
    nature: Nature = field(default_factory=Nature)
    reduces: bool = True
    """Whether what can have no effect is dropped (folding); only right for a protocol that merges."""
    strict: bool = True
    """Whether it is a failure in itself when the books differ about an order's life (I04, I06), before any
    harm comes of it. Off where the harm is to be seen."""
