"""One state for all that cannot be told apart.

An order is over when it has ended in both books, both say the same, and nothing of it is on its way or in
anybody's hands. Nothing can change such an order again (its id stays used), so only its coins are kept.
What is left is a small number of orders however long the run; their numbers do not matter.

With `rules.reduces`, what can have no effect any more is dropped as well. An order that was acknowledged
never waits to be sent again, so its attempts and denials say nothing; and booking merges, so an event or an
answer that brings nothing new now brings nothing later. tests/proof compares the verdicts without this.
"""

from proof.model.rules import Rules
from proof.model.state import (
    ACCEPTED,
    ACKED,
    ANSWERED,
    BUY,
    CANCEL_REQUESTED,
    CARETAKER,
    CLOSED,
    DENIED,
    DONE,
    FOUND,
    GIVING_UP,
    GONE,
    IDLE,
    MAIN,
    NEVER_ARRIVED,
    NONE,
    OLD,
    REJECTED,
    START,
    VOID,
    Post,
    Process,
    Row,
    Snapshot,
    State,
    process,
    with_process,
)

_ENDS = frozenset({(DONE, CLOSED), (REJECTED, NONE), (VOID, NONE)})
_ACKNOWLEDGED = frozenset({ACKED, CANCEL_REQUESTED, DONE})
_ONLY_FOR_SENT = frozenset({DENIED, NEVER_ARRIVED, GIVING_UP})


def fold(state: State, rules: Rules) -> State:
    """The state without what makes no difference."""
    if rules.reduces:
        state = _reduced(state, rules)
    for row in state.rows:
        if (row.state, row.exchange) in _ENDS:
            return _without_ended(state)
    return state


def _without_ended(state: State) -> State:
    kept = surviving(state)
    if len(kept) == len(state.rows):
        return state
    gone = [row for at, row in enumerate(state.rows) if at not in kept]
    place = {old: new for new, old in enumerate(kept)}
    return state._replace(
        main=_moved(state.main, place),
        old=_moved(state.old, place),
        caretaker=_moved(state.caretaker, place),
        rows=tuple([state.rows[at] for at in kept]),
        posts=tuple([Post(place[post.order], post.attempt, post.sender) for post in state.posts]),
        held=state.held + sum(row.filled if row.side == BUY else -row.filled for row in gone),
        buys=state.buys + sum(row.side == BUY and row.filled > 0 for row in gone),
    )


def surviving(state: State) -> list[int]:
    """Positions of the orders that are not over."""
    in_hands = {state.main.order, state.old.order, state.caretaker.order}
    in_hands.update([post.order for post in state.posts])
    return [at for at, row in enumerate(state.rows) if at in in_hands or not _may_be_over(row)]


def _may_be_over(row: Row) -> bool:
    if (row.state, row.exchange) not in _ENDS:
        return False
    return not row.events and not row.hidden and row.filled == row.exchange_filled


def _moved(each: Process, place: dict[int, int]) -> Process:
    return each if each.order < 0 else each._replace(order=place[each.order])


def is_news(row: Row, snapshot: Snapshot) -> bool:
    """Whether booking it could change the order, now or later."""
    if row.state not in _ACKNOWLEDGED:
        return True
    return snapshot.filled > row.filled or (snapshot.closed and row.state != DONE)


def _reduced(state: State, rules: Rules) -> State:
    rows = tuple([_reduced_row(row) if row.state in _ACKNOWLEDGED else row for row in state.rows])
    if rows != state.rows:
        state = state._replace(rows=rows)
    for who in (MAIN, OLD, CARETAKER):
        each = process(state, who)
        if each.order >= 0 and _is_moot(each, state.rows[each.order]):
            state = with_process(state, who, START._replace(outdated=who == OLD))
    if state.old.at == IDLE and rules.protocol.epoch_guards:
        state = state._replace(old=GONE)
    return state


def _reduced_row(row: Row) -> Row:
    events = row.events
    if events:
        events = frozenset([event for event in events if is_news(row, event)])
    if row.attempts or row.events != events:
        return row._replace(attempts=0, unanswered=frozenset(), denied_once=False, events=events)
    return row


def _is_moot(each: Process, row: Row) -> bool:
    """Whether what a process has in hand can have no effect: then it has nothing in hand."""
    if row.state not in _ACKNOWLEDGED:
        return False
    if each.at in _ONLY_FOR_SENT:
        return True
    if each.at == ANSWERED:
        return each.outcome != ACCEPTED or each.snapshot is None or not is_news(row, each.snapshot)
    if each.at == FOUND and each.snapshot is not None:
        return row.state != CANCEL_REQUESTED and not is_news(row, each.snapshot)
    return False
