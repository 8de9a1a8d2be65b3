"""The workers' inbox: order within a pair, no pair in two hands, nobody held up by another pair."""

import random
import threading
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from dca.core.model import Quote, Snapshot
from dca.trading.inbox import ConfirmFee, Inbox, Settle, Task, pair_of
from tests.builders import order, snapshot
from tests.processes import eventually

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def quote(symbol: str, bid: str = "100") -> Quote:
    price = Decimal(bid)
    return Quote(symbol=symbol, bid=price, ask=price, at=NOW, received_at=NOW)


def resting(inbox: Inbox, count: int) -> bool:
    return len(inbox._bells) == count


def update(symbol: str, number: int = 0) -> Snapshot:
    return replace(snapshot(order(), "new"), symbol=symbol, exchange_order_id=str(number))


def test_what_another_worker_has_in_hand_is_left_to_it_and_other_pairs_go_on() -> None:
    inbox = Inbox()
    first, second, other = update("BTC/USD", 1), update("BTC/USD", 2), update("ETH/USD")
    for each in (first, second, other):
        inbox.put(each)
    assert inbox.take(0) is first
    assert inbox.take(0) is other
    assert inbox.take(0) is None
    inbox.done(first)
    assert inbox.take(0) is second


def test_a_quote_of_a_pair_in_hand_waits_and_the_newest_is_decided_on() -> None:
    inbox = Inbox()
    inbox.put_quote(quote("BTC/USD", "1"))
    held = inbox.take(0)
    assert held is not None
    for bid in ("2", "3"):
        inbox.put_quote(quote("BTC/USD", bid))
    assert inbox.take(0) is None
    inbox.done(held)
    assert inbox.take(0) == quote("BTC/USD", "3")
    assert inbox.is_empty()


def test_fees_wait_for_all_else() -> None:
    inbox = Inbox()
    fee, settle = ConfirmFee(order=order(), executions=()), Settle(order=order())
    inbox.put(fee)
    inbox.put(fee)
    inbox.put(settle)
    inbox.put_quote(quote("ETH/USD"))
    taken = [inbox.take(0)]
    inbox.done(settle)
    taken += [inbox.take(0), inbox.take(0), inbox.take(0)]
    assert taken == [settle, quote("ETH/USD"), fee, None]


def test_fees_are_confirmed_one_after_the_other() -> None:
    """Sixty at once in sixteen hands held up an order."""
    inbox = Inbox()
    fees = [
        ConfirmFee(order=order(symbol=f"S{number}/USD", client_order_id=str(number)), executions=())
        for number in range(3)
    ]
    for fee in fees:
        inbox.put(fee)
    assert [inbox.take(0), inbox.take(0)] == [fees[0], None]
    inbox.put_quote(quote("ETH/USD"))
    held = inbox.take(0)
    assert held == quote("ETH/USD")
    inbox.done(held)
    assert inbox.take(0) is None
    inbox.done(fees[0])
    assert inbox.take(0) == fees[1]


def test_the_worker_that_came_to_rest_last_is_woken_first() -> None:
    inbox, woken = Inbox(), []

    def wait(name: str) -> None:
        item = inbox.take(20)
        woken.append(name)
        if item is not None:
            inbox.done(item)

    threads = []
    for count, name in enumerate(("early", "late"), start=1):
        threads.append(threading.Thread(target=wait, args=(name,)))
        threads[-1].start()
        eventually(partial(resting, inbox, count))
    for expected in (["late"], ["late", "early"]):
        inbox.put(update("BTC/USD"))
        eventually(partial(woken.__eq__, expected))
    for thread in threads:
        thread.join()


LONG_SECONDS = 120
"""A worker that is not woken rests so long: longer than any wait of a test."""


def at_rest(inbox: Inbox) -> tuple[threading.Thread, list[object]]:
    """A worker that waits, and what it takes."""
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(inbox.take(LONG_SECONDS)), daemon=True)
    thread.start()
    eventually(partial(resting, inbox, 1))
    return thread, got


def test_a_worker_at_rest_is_woken_by_a_quote() -> None:
    inbox = Inbox()
    thread, got = at_rest(inbox)
    inbox.put_quote(quote("BTC/USD"))
    thread.join(LONG_SECONDS / 4)
    assert got == [quote("BTC/USD")]


def test_a_worker_whose_time_was_up_is_not_the_one_that_is_woken() -> None:
    inbox = Inbox()
    thread, got = at_rest(inbox)
    assert inbox.take(0.01) is None
    inbox.put(update("BTC/USD"))
    thread.join(LONG_SECONDS / 4)
    assert got == [update("BTC/USD")]


def test_many_workers_lose_nothing_and_never_hold_a_pair_twice() -> None:
    inbox, dice = Inbox(), random.Random(7)
    symbols = [f"C{number}/USD" for number in range(5)]
    heard: dict[str, list[str | None]] = defaultdict(list)
    in_hand: set[str] = set()
    overlaps: list[str] = []
    over = threading.Event()

    def work() -> None:
        while not (over.is_set() and inbox.is_empty()):
            item = inbox.take(0.01)
            if item is None:
                continue
            pair = pair_of(item)
            if pair in in_hand:
                overlaps.append(pair)
            in_hand.add(pair)
            assert isinstance(item, Snapshot)
            heard[item.symbol].append(item.exchange_order_id)
            in_hand.discard(pair)
            inbox.done(item)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    sent: dict[str, list[str | None]] = defaultdict(list)
    for number in range(2000):
        symbol = dice.choice(symbols)
        sent[symbol].append(str(number))
        inbox.put(update(symbol, number))
    over.set()
    for thread in threads:
        thread.join(30)
    assert overlaps == []
    assert heard == sent, "all, and those of a pair in order"


def test_orders_to_settle_do_not_keep_all_workers_from_the_quotes() -> None:
    """Each may wait for the exchange for a long time."""
    inbox = Inbox()
    for number in range(40):
        inbox.put(Settle(order=order(symbol=f"S{number}/USD", client_order_id=str(number))))
    for number in range(3):
        inbox.put_quote(quote(f"Q{number}/USD"))
    heard = [inbox.take(0) for _ in range(6)]
    assert sum(isinstance(each, Quote) for each in heard) == 3


def test_an_older_quote_takes_no_newer_one_s_place() -> None:
    inbox = Inbox()
    newer = quote("BTC/USD", "80")
    inbox.put_quote(newer)
    inbox.put_quote(replace(quote("BTC/USD", "99"), at=NOW - timedelta(seconds=1)))
    assert inbox.take(0) is newer


def test_a_quote_that_reaches_nothing_takes_away_the_older_one_that_waits() -> None:
    """It would be decided on too late."""
    inbox = Inbox()
    newer = replace(quote("BTC/USD"), at=NOW + timedelta(seconds=1))
    inbox.forget_older(newer)
    for waits, is_left in ((quote("BTC/USD"), False), (newer, True)):
        inbox.put_quote(quote("ETH/USD"))
        inbox.put_quote(waits)
        inbox.forget_older(newer)
        assert inbox.quotes.keys() == ({"ETH/USD", "BTC/USD"} if is_left else {"ETH/USD"})


def test_what_is_asked_for_already_is_not_asked_for_twice_and_what_was_heard_is_kept() -> None:
    inbox = Inbox()
    tasks: list[Task] = [Settle(order=order()), ConfirmFee(order=order()), update("BTC/USD")]
    for task in (*tasks, *tasks):
        inbox.put(task)
    taken = []
    while (item := inbox.take(0)) is not None:
        taken.append(item)
        inbox.done(item)
    assert taken == [tasks[2], tasks[2], tasks[0], tasks[1]]
