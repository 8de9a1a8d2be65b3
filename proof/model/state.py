"""What a state of the model is: a few small tuples that can be compared and hashed.

Times are not in it. What a clock would say is a condition on the state (`transactions.is_quiet`) or a
fault with a budget (a stall, a timeout), so that every speed of every part is tried.
"""

from typing import NamedTuple

BUY, SELL = "buy", "sell"

# A row's state in the ledger, as dca.core.model.OrderState; UNWRITTEN only in a broken variant.
UNWRITTEN = "unwritten"
SENT, ACKED, CANCEL_REQUESTED = "sent", "acked", "cancel_requested"
DONE, REJECTED, VOID, GHOST, GHOST_DONE = "done", "rejected", "void", "ghost", "ghost_done"
LIVE = frozenset({SENT, ACKED, CANCEL_REQUESTED})
GIVEN_UP = frozenset({REJECTED, VOID, GHOST, GHOST_DONE})
MAY_STILL_FILL = LIVE | {GHOST}

# The same order at the exchange.
NONE, OPEN, CANCELING, CLOSED, DOUBLED = "none", "open", "canceling", "closed", "doubled"
AT_THE_EXCHANGE = frozenset({OPEN, CANCELING, DOUBLED})

# Where a process stands.
IDLE, DOWN = "idle", "down"
CLAIM_AGAIN = "claim again"  # T1 was committed and the answer lost: it runs again
CLAIMED = "claimed"  # an attempt is written down, its POST is not on the wire yet
WAITING = "waiting"  # the POST is sent
ANSWERED = "answered"  # with an outcome, not booked yet
FOUND, DENIED = "found", "denied"  # a look-up's answer, not booked yet
NEVER_ARRIVED = "never arrived"  # two denials: to be sent again or given up
GIVING_UP = "giving up"
CANCEL = "cancel"  # the wish is written down, the DELETE is not on the wire yet

# Outcomes of a POST; an accepted one carries the order as it was then.
ACCEPTED, REFUSED, DUPLICATE, UNKNOWN = "accepted", "refused", "duplicate", "unknown"


class Snapshot(NamedTuple):
    """What the exchange says of an order."""

    filled: int
    closed: bool


class Row(NamedTuple):
    """One order: our row of it, and the exchange's."""

    side: str
    qty: int
    state: str
    filled: int = 0
    attempts: int = 1
    unanswered: frozenset[int] = frozenset({1})
    denied_once: bool = False
    exchange: str = NONE
    exchange_filled: int = 0
    hidden: bool = False
    """Taken by the exchange, and a look-up still says 404."""
    events: frozenset[Snapshot] = frozenset()
    """On their way to main_app, in any order."""


class Process(NamedTuple):
    """One program. `order` is a position in State.rows; the rest depends on `at`."""

    at: str = IDLE
    order: int = -1
    attempt: int = 0
    outcome: str = ""
    snapshot: Snapshot | None = None
    flag: bool = False
    """CLAIMED: stalled for longer than QUIET. DENIED: asked before the quiet period was over."""
    outdated: bool = False
    """A newer main_app has started since: its epoch is not the current one."""


class Post(NamedTuple):
    """A POST on the wire. `sender` is "" once nobody waits for its answer."""

    order: int
    attempt: int
    sender: str


class Budget(NamedTuple):
    """How often each fault may still happen."""

    crashes: int = 0
    losses: int = 0
    """Requests, answers and events that are lost."""
    duplicates: int = 0
    rejects: int = 0
    timeouts: int = 0
    """A sender gives up waiting, or comes to sending too late, while nothing is lost."""
    lags: int = 0
    """An accepted order that look-ups deny for a while."""
    cancels: int = 0
    """No fault: main_app (take-profit) or order_manager (open too long) wants an order canceled."""
    commits: int = 0
    """A transaction that is committed while its answer is lost, or that cannot be had at all."""
    overlaps: int = 0
    """A second main_app starts while the first one lives on."""
    stalls: int = 0
    """A process stands still for longer than QUIET in the middle of something."""


class State(NamedTuple):
    main: Process
    old: Process
    """A main_app that was overtaken by a newer start; DOWN: there is none."""
    caretaker: Process
    rows: tuple[Row, ...]
    """Orders that are not over in both books with nothing of them on its way (see folding.fold)."""
    posts: tuple[Post, ...]
    held: int
    """Coins by the orders that are over."""
    buys: int
    """Buys with a fill among those."""
    complete: bool
    budget: Budget


MAIN, OLD, CARETAKER = "main", "old", "caretaker"
GONE = Process(DOWN)
START = Process()


def first(budget: Budget) -> State:
    return State(START, GONE, START, (), (), 0, 0, False, budget)


class Step(NamedTuple):
    """One thing that can happen. `order` is the position of the order it is about, or -1."""

    what: str
    order: int
    state: State
    fault: bool = False


def process(state: State, who: str) -> Process:
    if who == MAIN:
        return state.main
    return state.old if who == OLD else state.caretaker


def with_process(state: State, who: str, is_now: Process) -> State:
    if who == MAIN:
        return state._replace(main=is_now)
    return state._replace(old=is_now) if who == OLD else state._replace(caretaker=is_now)


def with_row(state: State, at: int, row: Row) -> State:
    return state._replace(rows=(*state.rows[:at], row, *state.rows[at + 1 :]))


def spent(state: State, kind: str) -> State:
    """The state with one fault of a kind less to come."""
    budget = state.budget
    return state._replace(budget=budget._replace(**{kind: getattr(budget, kind) - 1}))


def held(state: State) -> int:
    """Coins of the cycle by the ledger."""
    return state.held + sum(row.filled if row.side == BUY else -row.filled for row in state.rows)


def buys_used(state: State) -> int:
    return state.buys + sum(row.side == BUY and row.filled > 0 for row in state.rows)


def in_exchange(row: Row) -> Snapshot:
    return Snapshot(row.exchange_filled, row.exchange == CLOSED)
