"""What must hold in every state, by the exchange's own books (faults.md part C)."""

from proof.model.rules import Rules
from proof.model.state import (
    AT_THE_EXCHANGE,
    BUY,
    DOUBLED,
    DOWN,
    GIVEN_UP,
    IDLE,
    LIVE,
    NONE,
    SELL,
    UNWRITTEN,
    Row,
    State,
)


def violation(state: State, rules: Rules) -> str | None:
    """Say which one does not hold; None if all do."""
    rows = state.rows
    if sum(row.exchange in AT_THE_EXCHANGE for row in rows) > 1:
        return "I02: two live orders"
    if rules.protocol.one_live_order and sum(row.state in LIVE for row in rows) > 1:
        return "I01: two live rows"
    if any(row.exchange == DOUBLED for row in rows):
        return "I03: two orders of one intent"
    if any(row.filled > row.exchange_filled for row in rows):
        return "I05: ledger ahead of exchange"
    return _of_the_cycle(state, rules) or (_of_the_books(rows) if rules.strict else None)


def _of_the_cycle(state: State, rules: Rules) -> str | None:
    bought = [row for row in state.rows if row.side == BUY and row.exchange_filled]
    if state.buys + len(bought) > rules.buys:
        return "I12: more buys than allowed"
    sells = [row for row in state.rows if row.side == SELL]
    sold = sum(row.qty if row.exchange in AT_THE_EXCHANGE else row.exchange_filled for row in sells)
    if sold > state.held + sum(row.exchange_filled for row in bought):
        return "I08: more sold than bought"
    if state.complete and any(row.exchange in AT_THE_EXCHANGE for row in state.rows):
        return "I14: complete, an order alive"
    return None


def _of_the_books(rows: tuple[Row, ...]) -> str | None:
    """What no broken promise of the exchange may be blamed for."""
    if any(row.state == UNWRITTEN and row.exchange != NONE for row in rows):
        return "I04: at the exchange, not written"
    if any(row.state in GIVEN_UP and row.exchange in AT_THE_EXCHANGE for row in rows):
        return "I06: given up, and alive"
    return None


def is_settled(state: State) -> bool:
    """The end: complete, every order over in both books, nothing on its way, nobody has anything in hand."""
    nobody = state.main.at == IDLE and state.caretaker.at == IDLE and state.old.at == DOWN
    return state.complete and nobody and not state.rows and not state.posts and state.held == 0
