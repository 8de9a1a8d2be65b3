"""Each transaction of dca that the protocol has, as one step: what it reads, it reads under lock.

The names are those of trader.py and bookkeeper.py in dca/trading/; what they check is checked here in that
order.
"""

from proof.model.rules import Rules
from proof.model.state import (
    ACKED,
    BUY,
    CANCEL_REQUESTED,
    CLAIM_AGAIN,
    CLAIMED,
    DONE,
    GHOST,
    GHOST_DONE,
    GIVEN_UP,
    LIVE,
    REJECTED,
    SELL,
    SENT,
    UNWRITTEN,
    VOID,
    Process,
    Row,
    Snapshot,
    State,
    buys_used,
    held,
    process,
    with_row,
)

MAX_ATTEMPTS = 5


def is_quiet(state: State, order: int, rules: Rules) -> bool:
    """Whether the quiet period of an order's last attempt can be over: nothing of it is on the wire or about
    to be, and what the exchange took is visible. That is what A2, A3 and the send deadline are for."""
    if rules.nature.lands_within_quiet and order in [post.order for post in state.posts]:
        return False
    if rules.nature.seen_within_quiet and state.rows[order].hidden:
        return False
    return not (_is_about_to_send(state.main, order) or _is_about_to_send(state.old, order))


def _is_about_to_send(each: Process, order: int) -> bool:
    return each.order == order and not each.flag and each.at in (CLAIMED, CLAIM_AGAIN)


def is_locked(state: State) -> bool:
    """An order that turned up after it was given up locks the asset until a person has looked."""
    return any(row.state in (GHOST, GHOST_DONE) for row in state.rows)


def claims(state: State, who: str, rules: Rules) -> list[State]:
    """T1, trader._claim: every order that may be wanted now, written down. The price is anybody's guess."""
    if state.complete or is_locked(state):
        return []
    if rules.protocol.epoch_guards and process(state, who).outdated:
        return []
    if rules.protocol.one_live_order and any(row.state in LIVE for row in state.rows):
        return []
    found = []
    if buys_used(state) < rules.buys:
        found.append(_inserted(state, BUY, rules.lots, rules))
    if held(state) > 0:
        found.append(_inserted(state, SELL, held(state), rules))
    return found


def _inserted(state: State, side: str, qty: int, rules: Rules) -> State:
    row = Row(side, qty, SENT if rules.protocol.write_first else UNWRITTEN)
    return state._replace(rows=(*state.rows, row))


def book(state: State, order: int, snapshot: Snapshot, attempt: int | None = None) -> State:
    """Bookkeeper.book: the larger fill, a closed order stays closed, a given-up one becomes a ghost."""
    row = state.rows[order]
    booked = row._replace(
        state=_state_after(row.state, closed=snapshot.closed),
        filled=max(row.filled, snapshot.filled),
        unanswered=row.unanswered - {attempt},
        denied_once=False,
    )
    return _moved_on(with_row(state, order, booked))


def _state_after(known: str, *, closed: bool) -> str:
    if known in GIVEN_UP:
        return GHOST_DONE if closed or known == GHOST_DONE else GHOST
    if closed or known == DONE:
        return DONE
    return CANCEL_REQUESTED if known == CANCEL_REQUESTED else ACKED


def add_fill(state: State, order: int, snapshot: Snapshot) -> State:
    """The broken way: an event of a fill adds what it says was filled."""
    if not snapshot.filled:
        return book(state, order, snapshot)
    row = state.rows[order]
    booked = row._replace(state=_state_after(row.state, closed=snapshot.closed), filled=row.filled + 1)
    return _moved_on(with_row(state, order, booked))


def _moved_on(state: State) -> State:
    """lifecycle.book: the cycle is complete when its sell has ended and nothing is left."""
    if any(row.state in LIVE for row in state.rows) or not state.rows or held(state) > 0:
        return state
    last = state.rows[-1]
    if last.side == SELL and last.filled > 0:
        return state._replace(complete=True)
    return state


def refused(state: State, order: int, attempt: int, rules: Rules) -> State:
    """Bookkeeper.refused: this attempt has its answer; the order is over if every attempt has."""
    row = state.rows[order]
    row = row._replace(unanswered=row.unanswered - {attempt})
    is_open = row.state in (SENT, UNWRITTEN)
    if is_open and not (row.unanswered and rules.protocol.reject_needs_all_answers):
        row = row._replace(state=REJECTED)
    return _moved_on(with_row(state, order, row))


def released(state: State, order: int) -> State:
    """The broken way to treat an order: as refused, whatever is on its way."""
    return _moved_on(with_row(state, order, state.rows[order]._replace(state=REJECTED)))


def count_denial(state: State, order: int, *, early: bool, rules: Rules) -> tuple[State, bool]:
    """Bookkeeper._count_denial: the second look-up after the quiet period that finds nothing is evidence.

    `early`: the look-up was made before the quiet period was over.
    """
    row = state.rows[order]
    if row.state != SENT:
        return state, False
    if not rules.protocol.quiet_before_denial:
        return with_row(state, order, row._replace(denied_once=True)), True
    if early or not is_quiet(state, order, rules):
        return state, False
    if not row.denied_once:
        return with_row(state, order, row._replace(denied_once=True, unanswered=frozenset())), False
    return state, True


def claim_resend(state: State, who: str, rules: Rules) -> State | None:
    """Bookkeeper.claim_resend: another attempt under the same id; None if it must not be sent."""
    order, row = process(state, who).order, state.rows[process(state, who).order]
    if (rules.protocol.epoch_guards and process(state, who).outdated) or is_locked(state):
        return None
    waits = row.state == SENT and row.denied_once
    if rules.protocol.resend_under_lock and not waits:
        return None
    if row.attempts >= MAX_ATTEMPTS:
        return None
    number = row.attempts + 1
    again = row._replace(attempts=number, unanswered=row.unanswered | {number}, denied_once=False)
    return with_row(state, order, again)


def give_up(state: State, who: str, rules: Rules) -> State:
    """Bookkeeper.give_up: it never arrived; the cycle is free."""
    order, row = process(state, who).order, state.rows[process(state, who).order]
    is_overtaken = rules.protocol.epoch_guards and process(state, who).outdated
    if is_overtaken or row.state != SENT or not row.denied_once:
        return state
    return _moved_on(with_row(state, order, row._replace(state=VOID, unanswered=frozenset())))


def request_cancel(state: State, order: int, rules: Rules) -> State:
    """Trader.cancel: only an order that is known at the exchange, and its end is not known by that."""
    after = CANCEL_REQUESTED if rules.protocol.cancel_is_confirmed else DONE
    return _moved_on(with_row(state, order, state.rows[order]._replace(state=after)))


def has_to_go(row: Row) -> bool:
    """bookkeeper._has_to_go: the DELETE is sent again with every look-up until the order has ended."""
    return row.state in (CANCEL_REQUESTED, GHOST)
