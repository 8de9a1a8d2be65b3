"""The exchange and the wire: what may happen without anybody here doing anything."""

from collections.abc import Iterator
from functools import cache

from proof.model.rules import Rules
from proof.model.state import (
    ACCEPTED,
    ANSWERED,
    CANCEL_REQUESTED,
    CANCELING,
    CLOSED,
    DOUBLED,
    DOWN,
    DUPLICATE,
    MAIN,
    NONE,
    OLD,
    OPEN,
    REFUSED,
    WAITING,
    Post,
    Row,
    Snapshot,
    State,
    Step,
    in_exchange,
    process,
    spent,
    with_process,
    with_row,
)


def steps(state: State, rules: Rules) -> Iterator[Step]:
    for position in range(len(state.posts)):
        yield from _arrivals(state, position, rules)
    for order, row in enumerate(state.rows):
        yield from _orders(state, order, row)


def _arrivals(state: State, position: int, rules: Rules) -> Iterator[Step]:
    """Everything that can become of one POST on the wire."""
    post = state.posts[position]
    rest = state._replace(posts=(*state.posts[:position], *state.posts[position + 1 :]))
    budget = state.budget
    if budget.losses:
        yield Step("a POST of order {n} is lost", post.order, spent(rest, "losses"), fault=True)
    for what, outcome, landed, faults in _landings(rest, post, rules):
        waits = _waits(rest, post)
        yield Step(what, post.order, _answer(landed, post, outcome) if waits else landed, bool(faults))
        if waits and landed.budget.losses:
            yield Step(f"{what}; the answer is lost", post.order, spent(landed, "losses"), fault=True)


def _landings(rest: State, post: Post, rules: Rules) -> Iterator[tuple[str, str, State, int]]:
    """How the exchange may take a POST: (words, outcome, state, faults spent)."""
    row = rest.rows[post.order]
    if row.exchange != NONE:
        if rules.nature.ids_are_unique:
            yield "a POST of order {n} arrives: its id is known already", DUPLICATE, rest, 0
        else:
            doubled = with_row(rest, post.order, row._replace(exchange=DOUBLED))
            yield "a POST of order {n} arrives: accepted, once more", ACCEPTED, doubled, 0
        return
    taken = with_row(rest, post.order, _told(rest, row._replace(exchange=OPEN)))
    yield "a POST of order {n} arrives: accepted", ACCEPTED, taken, 0
    if rest.budget.lags:
        hidden = with_row(taken, post.order, taken.rows[post.order]._replace(hidden=True))
        words = "a POST of order {n} arrives: accepted, look-ups do not show it yet"
        yield words, ACCEPTED, spent(hidden, "lags"), 1
    if rest.budget.rejects:
        yield "a POST of order {n} arrives: 403", REFUSED, spent(rest, "rejects"), 1


def _waits(state: State, post: Post) -> bool:
    if not post.sender:
        return False
    sender = process(state, post.sender)
    return sender.at == WAITING and sender.order == post.order


def _answer(state: State, post: Post, outcome: str) -> State:
    snapshot = in_exchange(state.rows[post.order]) if outcome == ACCEPTED else None
    told = process(state, post.sender)._replace(at=ANSWERED, outcome=outcome, snapshot=snapshot)
    return with_process(state, post.sender, told)


def _told(state: State, row: Row) -> Row:
    """The row with the event of what just became of it, if somebody is listening."""
    if state.main.at == DOWN:
        return row
    return row._replace(events=row.events | {in_exchange(row)})


def _orders(state: State, order: int, row: Row) -> Iterator[Step]:
    """Fills, ends, and what becomes visible. An order that we want canceled may fill, but nobody may wait
    for that: counted as a fault, so that the end has to be reached without."""
    if row.exchange in (OPEN, CANCELING):
        filled = row.exchange_filled + 1
        after = CLOSED if filled == row.qty else row.exchange
        grown = _told(state, row._replace(exchange_filled=filled, exchange=after))
        words = "order {n} fills" if after == CLOSED else "order {n} fills in part"
        unlikely = row.state == CANCEL_REQUESTED
        yield Step(words, order, with_row(state, order, grown), fault=unlikely)
    if row.exchange == CANCELING:
        ended = _told(state, row._replace(exchange=CLOSED))
        yield Step("order {n} is canceled", order, with_row(state, order, ended))
    if row.hidden:
        yield Step("order {n} becomes visible", order, with_row(state, order, row._replace(hidden=False)))
    if state.budget.losses:
        for event in row.events:
            gone = with_row(state, order, without_event(row, event))
            words = f"an event of order {{n}} is lost ({shown(event)})"
            yield Step(words, order, spent(gone, "losses"), fault=True)


def without_event(row: Row, event: Snapshot) -> Row:
    return row._replace(events=row.events - {event})


@cache
def shown(snapshot: Snapshot) -> str:
    return f"filled {snapshot.filled}, {'closed' if snapshot.closed else 'open'}"


def deleted(state: State, order: int) -> State:
    """A DELETE that arrives: 204 comes before the end, and an order that has ended answers 422."""
    row = state.rows[order]
    if row.exchange != OPEN:
        return state
    return with_row(state, order, row._replace(exchange=CANCELING))


def silenced(state: State, who: str) -> State:
    """Nobody waits for a process's answers any more."""
    posts = tuple(post._replace(sender="") if post.sender == who else post for post in state.posts)
    return state._replace(posts=tuple(sorted(posts)))


def overtaken(state: State) -> State:
    """What main_app waits for is now the older main_app's."""
    posts = tuple(post._replace(sender=OLD) if post.sender == MAIN else post for post in state.posts)
    return state._replace(posts=tuple(sorted(posts)))


def sent(state: State, post: Post) -> State:
    return state._replace(posts=tuple(sorted((*state.posts, post))))
