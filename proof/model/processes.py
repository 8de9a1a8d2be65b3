"""What main_app and a caretaker do next, each from where it stands. Every step is a call or a transaction."""

from collections.abc import Callable, Iterator
from functools import cache

from proof.model import exchange, folding, transactions
from proof.model.rules import Rules
from proof.model.state import (
    ACCEPTED,
    ACKED,
    ANSWERED,
    CANCEL,
    CARETAKER,
    CLAIM_AGAIN,
    CLAIMED,
    CLOSED,
    DENIED,
    DUPLICATE,
    FOUND,
    GIVING_UP,
    GONE,
    IDLE,
    MAIN,
    MAY_STILL_FILL,
    NEVER_ARRIVED,
    NONE,
    OLD,
    REFUSED,
    SENT,
    START,
    UNKNOWN,
    UNWRITTEN,
    WAITING,
    Post,
    Process,
    State,
    Step,
    in_exchange,
    process,
    spent,
    with_process,
    with_row,
)

NAMES = {MAIN: "main", OLD: "the overtaken main", CARETAKER: "caretaker"}


def steps(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """Every step that this process may take now, but for faults that only come from outside."""
    at = process(state, who).at
    if at in _STEPS:
        yield from _STEPS[at](state, who, rules)


def rested(state: State, who: str) -> State:
    """The process has nothing in hand any more."""
    return with_process(state, who, START._replace(outdated=who == OLD))


@cache
def _named(who: str, words: str) -> str:
    return f"{NAMES[who]} {words}"


def _idle(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """Nothing in hand: decide (trader.on_quote), settle, cancel, or take what the stream brings."""
    if who != CARETAKER:
        yield from _claim(state, who, rules)
    if who == OLD:
        yield Step(_named(who, "sees that it was overtaken, and ends"), -1, with_process(state, OLD, GONE))
    for order, row in enumerate(state.rows):
        if row.state in MAY_STILL_FILL and rules.protocol.reconciles:
            found = _look_up(state, who, order, rules)
            if not (rules.reduces and _is_pointless(found, who, rules)):
                yield found
        if row.state == ACKED and state.budget.cancels:
            wish = spent(transactions.request_cancel(state, order, rules), "cancels")
            step = _named(who, "writes down that order {n} has to be canceled")
            yield Step(step, order, _at(wish, who, CANCEL, order))
    if who == MAIN:
        yield from _events(state, rules)


def _at(state: State, who: str, at: str, order: int) -> State:
    is_outdated = process(state, who).outdated
    return with_process(state, who, Process(at, order, outdated=is_outdated))


def _claim(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """T1, and what its lost answer leads to: it is run again, and finds what it wrote."""
    for claimed in transactions.claims(state, who, rules):
        order = len(claimed.rows) - 1
        side = claimed.rows[order].side
        words = f"writes down order {{n}}, a {side}" if rules.protocol.write_first else f"wants to {side}"
        yield Step(_named(who, words), order, _claimed(claimed, who, order, 1))
        if state.budget.commits and rules.protocol.write_first:
            lost = spent(_at(claimed, who, CLAIM_AGAIN, order), "commits")
            yield Step(_named(who, f"{words}; the commit's answer is lost"), order, lost, fault=True)


def _claimed(state: State, who: str, order: int, attempt: int) -> State:
    is_outdated = process(state, who).outdated
    return with_process(state, who, Process(CLAIMED, order, attempt, outdated=is_outdated))


def _claim_again(state: State, who: str, _: Rules) -> Iterator[Step]:
    order = process(state, who).order
    again = _claimed(state, who, order, 1)
    yield Step(_named(who, "runs the claim again and finds order {n} written"), order, again)
    words = _named(who, "cannot reach the database: order {n} is left to settling")
    yield Step(words, order, rested(state, who))


def _send(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """From the claim to the wire."""
    me = process(state, who)
    protocol = rules.protocol
    has_deadline = protocol.deadline_before_send if me.attempt == 1 else protocol.deadline_before_resend
    too_late = me.flag and has_deadline
    if not too_late:
        waiting = with_process(state, who, me._replace(at=WAITING, flag=False))
        posted = exchange.sent(waiting, Post(me.order, me.attempt, who))
        again = "" if me.attempt == 1 else f" again (attempt {me.attempt})"
        yield Step(_named(who, f"sends order {{n}}{again}"), me.order, posted)
    else:
        yield Step(_named(who, "is too late to send order {n}"), me.order, rested(state, who))
    if state.budget.timeouts and has_deadline and not me.flag:
        words = _named(who, "takes too long to send order {n}, and leaves it")
        yield Step(words, me.order, spent(rested(state, who), "timeouts"), fault=True)
    if state.budget.stalls and not me.flag:
        stalled = spent(with_process(state, who, me._replace(flag=True)), "stalls")
        yield Step(_named(who, "stands still before sending order {n}"), me.order, stalled, fault=True)


def _wait(state: State, who: str, rules: Rules) -> Iterator[Step]:
    me = process(state, who)
    if not rules.protocol.http_timeout:
        return
    unknown = exchange.silenced(with_process(state, who, me._replace(at=ANSWERED, outcome=UNKNOWN)), who)
    if rules.reduces:
        unknown = rested(unknown, who)
    if not any(post.sender == who for post in state.posts):
        yield Step(_named(who, "has no answer about order {n} in time"), me.order, unknown)
    elif state.budget.timeouts:
        words = _named(who, "waits no longer for order {n}; its POST is under way")
        yield Step(words, me.order, spent(unknown, "timeouts"), fault=True)


def _answered(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """T2 by outcome, trader._send."""
    me = process(state, who)
    if me.outcome == ACCEPTED and me.snapshot is not None:
        booked = transactions.book(state, me.order, me.snapshot, me.attempt)
        yield from _transaction(state, booked, who, "books the answer to order {n}", IDLE)
    elif me.outcome == REFUSED:
        refused = transactions.refused(state, me.order, me.attempt, rules)
        yield from _transaction(state, refused, who, "books the 403 of order {n}", IDLE)
    elif me.outcome == DUPLICATE and rules.protocol.reconciles:
        yield _look_up(state, who, me.order, rules, attempt=me.attempt)
    else:
        yield from _unanswered(state, who, rules)


def _unanswered(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """Nothing is known: nothing is done. Or what one might do instead."""
    order = process(state, who).order
    if not rules.protocol.timeout_is_unknown:
        words = _named(who, "takes no answer for a no and frees the cycle of order {n}")
        yield Step(words, order, rested(transactions.released(state, order), who))
    elif not rules.protocol.same_id:
        released = transactions.released(state, order)
        row = released.rows[order]._replace(state=SENT, exchange=NONE, exchange_filled=0, hidden=False)
        again = released._replace(rows=(*released.rows, row._replace(events=frozenset(), filled=0)))
        number = len(again.rows) - 1
        words = _named(who, "gives the wish another id: order {n}")
        yield Step(words, number, _claimed(again, who, number, 1))
    else:
        yield Step(_named(who, "leaves order {n} in flight"), order, rested(state, who))


def _transaction(before: State, after: State, who: str, words: str, at: str) -> Iterator[Step]:
    """A commit, and where the process stands then; one without an answer, to be run again; or none."""
    order = process(before, who).order
    moved = rested(after, who) if at == IDLE else _at(after, who, at, order)
    yield Step(_named(who, words), order, moved)
    if before.budget.commits:
        if after != before:
            lost = spent(after, "commits")
            yield Step(_named(who, f"{words}; the commit's answer is lost"), order, lost, fault=True)
        given_up = spent(rested(before, who), "commits")
        yield Step(_named(who, f"cannot: {words}; no database"), order, given_up, fault=True)


def _look_up(state: State, who: str, order: int, rules: Rules, attempt: int = 0) -> Step:
    """GET by our id; what it says is booked in a later step. `attempt`: the one answered as a duplicate."""
    row = state.rows[order]
    me = Process(order=order, attempt=attempt, outdated=process(state, who).outdated)
    if row.exchange == NONE or row.hidden:
        early = not transactions.is_quiet(state, order, rules)
        denied = with_process(state, who, me._replace(at=DENIED, flag=early))
        return Step(_named(who, f"looks order {{n}} up: 404{', early' if early else ''}"), order, denied)
    snapshot = in_exchange(row)
    found = with_process(state, who, me._replace(at=FOUND, snapshot=snapshot))
    return Step(_named(who, f"looks order {{n}} up: {exchange.shown(snapshot)}"), order, found)


def _is_pointless(look_up: Step, who: str, rules: Rules) -> bool:
    """Whether a look-up can lead to nothing but itself: no news, or a denial that is too early to count."""
    state = look_up.state
    me = process(state, who)
    if me.snapshot is not None:
        row = state.rows[me.order]
        return not folding.is_news(row, me.snapshot) and not transactions.has_to_go(row)
    return me.flag and (rules.protocol.denial_counts_from_asking or not state.budget.stalls)


def _found(state: State, who: str, _: Rules) -> Iterator[Step]:
    me = process(state, who)
    assert me.snapshot is not None
    booked = transactions.book(state, me.order, me.snapshot)
    after = CANCEL if transactions.has_to_go(booked.rows[me.order]) else IDLE
    yield from _transaction(state, booked, who, "books what it was told of order {n}", after)


def _denied(state: State, who: str, rules: Rules) -> Iterator[Step]:
    me = process(state, who)
    if who == CARETAKER and rules.protocol.only_main_gives_up:
        yield Step(_named(who, "concludes nothing of order {n}"), me.order, rested(state, who))
        return
    counted, for_good = transactions.count_denial(state, me.order, early=me.flag, rules=rules)
    after = _after_denials(me, who) if for_good else IDLE
    yield from _transaction(state, counted, who, "counts the denial of order {n}", after)
    if me.flag and state.budget.stalls and not rules.protocol.denial_counts_from_asking:
        yield from _count_early(state, who, rules)


def _count_early(state: State, who: str, rules: Rules) -> Iterator[Step]:
    """Asked before the quiet period was over, and booked after it: the process stood still meanwhile."""
    me = process(state, who)
    counted, for_good = transactions.count_denial(state, me.order, early=False, rules=rules)
    if counted == state and not for_good:
        return
    after = _after_denials(me, who) if for_good else IDLE
    moved = rested(counted, who) if after == IDLE else _at(counted, who, after, me.order)
    words = _named(who, "stands still for long, and counts its early denial of order {n}")
    yield Step(words, me.order, spent(moved, "stalls"), fault=True)


def _after_denials(me: Process, who: str) -> str:
    """A caretaker has no quote, so nothing is still wanted for it: trader._still_wanted. After a duplicate
    nothing follows: trader._send asks the books only."""
    if me.attempt:
        return IDLE
    return GIVING_UP if who == CARETAKER else NEVER_ARRIVED


def _never_arrived(state: State, who: str, rules: Rules) -> Iterator[Step]:
    order = process(state, who).order
    resent = transactions.claim_resend(state, who, rules)
    if resent is None:
        words = _named(who, "may not send order {n} again")
        yield Step(words, order, _at(state, who, GIVING_UP, order))
    else:
        attempt = resent.rows[order].attempts
        words = "writes down another attempt at order {n}"
        claimed = _claimed(_asked_before(resent, who, order), who, order, attempt)
        yield Step(_named(who, words), order, claimed)
        if state.budget.commits:
            lost = spent(_asked_before(resent, who, order), "commits")
            yield Step(_named(who, f"{words}; the commit's answer is lost"), order, lost, fault=True)
    if rules.protocol.gives_up:
        words = _named(who, "does not want order {n} any more")
        yield Step(words, order, _at(state, who, GIVING_UP, order))


def _asked_before(state: State, who: str, order: int) -> State:
    """Whoever holds a denial of an order that is being sent again asked before its quiet period."""
    for other in (MAIN, OLD, CARETAKER):
        each = process(state, other)
        if other != who and each.at == DENIED and each.order == order:
            state = with_process(state, other, each._replace(flag=True))
    return state


def _giving_up(state: State, who: str, rules: Rules) -> Iterator[Step]:
    given_up = transactions.give_up(state, who, rules) if rules.protocol.gives_up else state
    words = "gives order {n} up" if given_up != state else "finds that order {n} is not to be given up"
    yield from _transaction(state, given_up, who, words, IDLE)


def _cancel(state: State, who: str, _: Rules) -> Iterator[Step]:
    order = process(state, who).order
    yield Step(_named(who, "has order {n} canceled"), order, rested(exchange.deleted(state, order), who))
    if state.budget.losses and state.rows[order].exchange != CLOSED:
        words = _named(who, "has order {n} canceled; the DELETE is lost")
        yield Step(words, order, spent(rested(state, who), "losses"), fault=True)


def _events(state: State, rules: Rules) -> Iterator[Step]:
    """The worker takes an order update from its inbox."""
    for order, row in enumerate(state.rows):
        for event in row.events:
            known = row.state != UNWRITTEN and (rules.protocol.match_by_our_id or row.state != SENT)
            merge = transactions.book if rules.protocol.fills_merge else transactions.add_fill
            booked = merge(state, order, event) if known else state
            words = f"main is told that order {{n}} is {exchange.shown(event)}"
            taken = with_row(booked, order, exchange.without_event(booked.rows[order], event))
            yield Step(words, order, taken)
            if state.budget.duplicates:
                yield Step(f"{words}, to be told again", order, spent(booked, "duplicates"), fault=True)


_STEPS: dict[str, Callable[[State, str, Rules], Iterator[Step]]] = {
    IDLE: _idle,
    CLAIM_AGAIN: _claim_again,
    CLAIMED: _send,
    WAITING: _wait,
    ANSWERED: _answered,
    FOUND: _found,
    DENIED: _denied,
    NEVER_ARRIVED: _never_arrived,
    GIVING_UP: _giving_up,
    CANCEL: _cancel,
}
