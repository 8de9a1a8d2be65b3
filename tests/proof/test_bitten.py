"""What deliberate faults of trading and caretaking had survived until somebody looked (./bot bite)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import pytest

import consistency_checker
import order_manager
from dca.caretakers.job import Job
from dca.core.errors import ExchangeUnavailable, StartRefused
from dca.core.interfaces import Stream
from dca.core.model import CycleStatus, Mode, OrderState, Quote, Snapshot
from dca.core.order_cleanup import GONE_LOOKS
from dca.database.store import Store, Transaction
from dca.exchange.streams import StreamState
from dca.runtime.log_lines import Troubles
from dca.runtime.script import Context
from dca.trading.bookkeeper import MAX_ATTEMPTS
from dca.trading.inbox import Inbox
from dca.trading.main_loop import MainLoop
from tests.caretakers.test_absences import every_five_minutes
from tests.caring import SETTINGS
from tests.rig import LIMITS, QUIET_SECONDS, SYMBOL, Rig
from tests.taking import taken

R = TypeVar("R")


def old_quote(rig: Rig, price: str) -> None:
    """A quote that has waited for a minute."""
    now, value = rig.clock.now(), Decimal(price)
    rig.clock.pass_seconds(60)
    rig.trader.on_quote(Quote(symbol=SYMBOL, bid=value, ask=value, at=now, received_at=now))


def denied_twice(rig: Rig, price: str | None) -> None:
    """The exchange does not know the order, also after the quiet period; quotes of a price meanwhile."""
    for seconds in (QUIET_SECONDS + 1, QUIET_SECONDS / 4 + 1):
        rig.clock.pass_seconds(seconds)
        if price is not None:
            rig.quote(price)
        rig.settle()


def lost(rig: Rig, price: str) -> None:
    """The next order never arrives."""
    rig.exchange.lose_request = True
    rig.quote(price)
    rig.exchange.lose_request = False


# ---- what decides ----------------------------------------------------------------------------------------


def test_nothing_is_placed_before_all_is_settled(rig: Rig) -> None:
    rig.desk.settled = False
    rig.quote("100")
    assert rig.exchange.posts == []
    rig.desk.settled = True
    rig.quote("100")
    assert len(rig.exchange.posts) == 1


def test_an_old_quote_ends_no_cooldown_and_cancels_no_buy(rig: Rig) -> None:
    rig.bought()
    rig.quote("98")
    buy = rig.last_id()
    old_quote(rig, "103")
    assert rig.orders()[-1].state is OrderState.ACKED, "the take-profit is not met"
    rig.trader.books.book(rig.exchange.end(buy))
    rig.quote("103")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="103"))
    assert rig.cycle().status is CycleStatus.COOLDOWN
    old_quote(rig, "90")
    assert rig.cycle().status is CycleStatus.COOLDOWN


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE dca_control SET mode = 'halt'",
        "UPDATE dca_control SET mode = 'exits_only'",
        "UPDATE dca_assets SET is_enabled = FALSE",
        "UPDATE dca_assets SET lock_reason = 'by hand'",
    ],
)
def test_what_was_switched_off_a_moment_ago_buys_no_more(rig: Rig, change: str) -> None:
    """Before main_app's own look at the rows."""
    rig.store.run_script(f"{change};\n")
    assert rig.desk.mode is Mode.RUN
    rig.quote("100")
    assert rig.exchange.posts == [] and rig.orders() == []


def test_amounts_that_were_edited_a_moment_ago_count(rig: Rig) -> None:
    rig.store.run_script("UPDATE dca_assets SET base_order_amount = 40;\n")
    rig.quote("100")
    assert rig.orders()[0].qty == Decimal("0.4")


def test_rows_that_turned_into_a_sale_are_not_sold_without_the_position(rig: Rig) -> None:
    """The desk believes that nothing is held, and means to buy."""
    rig.bought()
    watch = rig.desk.watch(SYMBOL)
    assert watch is not None and watch.cycle is not None
    nothing = replace(watch.cycle, quantity=Decimal(0), version=watch.cycle.version + 1)
    rig.desk.put(watch.asset, nothing, (), rig.clock.now())
    rig.exchange.held[SYMBOL] = Decimal(0)
    rig.quote("103")
    assert len(rig.exchange.posts) == 1 and len(rig.orders()) == 1


def test_F44_a_price_that_only_the_stream_has_seen_sells_nothing(rig: Rig) -> None:
    rig.bought()
    now, spike = rig.clock.now(), Decimal(103)
    assert rig.exchange.price == 100, "what the exchange itself says"
    rig.trader.on_quote(Quote(symbol=SYMBOL, bid=spike, ask=spike, at=now, received_at=now))
    assert len(rig.exchange.posts) == 1
    rig.clock.pass_seconds(5)
    rig.quote("103")
    assert len(rig.exchange.posts) == 2


def test_F50_an_id_says_whose_it_is(rig: Rig) -> None:
    rig.quote("100")
    assert rig.last_id() == f"dca-{rig.desk.install_id}-1-1-b"
    assert rig.desk.prefix == f"dca-{rig.desk.install_id}-"


# ---- what became of it -----------------------------------------------------------------------------------


def test_an_order_that_was_acknowledged_is_never_given_up(rig: Rig) -> None:
    rig.quote("100")
    rig.exchange.hidden_until = rig.clock.now().replace(year=2100)
    for _ in range(3):
        denied_twice(rig, None)
    assert rig.orders()[0].state is OrderState.ACKED
    assert rig.cycle().status is CycleStatus.BUYING


def test_two_denials_in_one_second_are_one(rig: Rig) -> None:
    lost(rig, "100")
    rig.clock.pass_seconds(QUIET_SECONDS + 1)
    rig.settle()
    rig.settle()
    assert rig.orders()[0].state is OrderState.SENT
    assert len(rig.exchange.posts) == 1


def test_an_outage_is_no_denial(rig: Rig) -> None:
    """F03: whatever is asked meanwhile."""
    rig.exchange.lose_answer = True
    rig.quote("100")
    rig.exchange.down = True
    for seconds in (QUIET_SECONDS + 1, QUIET_SECONDS / 4 + 1):
        rig.clock.pass_seconds(seconds)
        with pytest.raises(ExchangeUnavailable):
            rig.settle()
    rig.exchange.down = False
    assert rig.orders()[0].not_found_at is None
    rig.settle()
    assert rig.orders()[0].state is OrderState.ACKED


def test_an_order_is_sent_so_often_and_no_more(rig: Rig) -> None:
    rig.exchange.lose_request = True
    rig.quote("100")
    name = rig.last_id()
    for _ in range(MAX_ATTEMPTS + 3):
        denied_twice(rig, "100")
    assert rig.exchange.posts.count(name) == MAX_ATTEMPTS
    assert rig.orders()[0].state is OrderState.VOID


@pytest.mark.parametrize("change", ["lock_reason = 'the books disagree'", "is_enabled = FALSE"])
def test_an_order_is_not_sent_again_for_an_asset_that_was_switched_off(rig: Rig, change: str) -> None:
    lost(rig, "100")
    rig.store.run_script(f"UPDATE dca_assets SET {change};\n")
    denied_twice(rig, "100")
    assert len(rig.exchange.posts) == 1
    assert rig.orders()[0].state is OrderState.VOID


@pytest.mark.parametrize("price", ["101", None])
def test_a_sale_is_not_sent_again_below_its_price_or_on_an_old_quote(rig: Rig, price: str | None) -> None:
    rig.bought()
    lost(rig, "102")
    rig.exchange.quoted_at = rig.clock.now() if price is None else None
    denied_twice(rig, price)
    assert len(rig.exchange.posts) == 2
    assert rig.orders()[-1].state is OrderState.VOID


def test_an_older_start_gives_nothing_up(rig: Rig) -> None:
    lost(rig, "100")
    rig.store.run_script("UPDATE dca_control SET epoch = epoch + 1;\n")
    denied_twice(rig, "105")
    assert rig.orders()[0].state is OrderState.SENT


def test_a_cancel_that_was_lost_is_asked_for_again(rig: Rig) -> None:
    rig.bought()
    rig.quote("98")
    rig.quote("103")
    assert len(rig.exchange.cancels) == 1
    rig.exchange.cancels.clear()
    rig.settle()
    assert len(rig.exchange.cancels) == 1


def test_an_order_without_an_answer_is_not_canceled(rig: Rig) -> None:
    lost(rig, "100")
    rig.trader.cancel(rig.orders()[0], "nobody wants it")
    assert rig.orders()[0].state is OrderState.SENT


def test_an_order_of_ours_that_the_ledger_does_not_know_locks(rig: Rig) -> None:
    """F50: an older backup."""
    rig.quote("100")
    unknown = rig.exchange.orders[rig.last_id()]
    rig.trader.books.book(replace(unknown, client_order_id=f"{rig.desk.prefix}7-7-b"))
    assert "not in the ledger" in (rig.asset().lock_reason or "")


def test_F06_a_sale_costs_its_fee_before_the_exchange_has_listed_it(rig: Rig) -> None:
    rig.bought()
    rig.quote("103")
    sold = rig.exchange.fill(rig.last_id(), price="103")
    rig.exchange.executions_of.clear()
    rig.trader.books.book(sold)
    sale = rig.orders()[-1]
    assert sale.fee_usd == Decimal("0.06"), "a quarter of a percent of 20.55, rounded up to a cent"


# ---- the loop --------------------------------------------------------------------------------------------


class Deaf:
    """A feed that hears nothing."""

    orders: Stream = StreamState(name="order stream")
    quotes: Stream = StreamState(name="quote stream")

    def set_symbols(self, symbols: set[str]) -> None:
        """They are of no use here."""

    def reconnect(self, stream: Stream, why: str) -> None:
        """Nor is this."""

    def look_again(self, symbol: str) -> None:
        """Nor this."""

    def newest(self, symbol: str) -> Quote | None:
        """None was heard."""

    def newest_at(self) -> datetime | None:
        """None was heard."""


def loop_of(rig: Rig, stop: Callable[[str], None] = lambda _: None) -> tuple[MainLoop, Inbox]:
    inbox = Inbox()
    loop = MainLoop(
        store=rig.store,
        broker=rig.exchange,  # type: ignore[arg-type]
        desk=rig.desk,
        inbox=inbox,
        feed=Deaf(),
        clock=rig.clock,
        troubles=Troubles(),
        quiet_period=LIMITS.quiet_period,
        before_each=lambda: None,
        stop=stop,
    )
    return loop, inbox


def test_F04_after_a_reconnect_nothing_is_placed_before_all_was_asked_for(rig: Rig) -> None:
    loop, _ = loop_of(rig)
    loop.tick()
    loop.ask_to_settle()
    rig.quote("100")
    assert rig.exchange.posts == []
    loop.tick()
    rig.quote("100")
    assert len(rig.exchange.posts) == 1


def test_F08_an_older_main_app_stops_when_it_sees_a_newer_one(rig: Rig) -> None:
    stopped: list[str] = []
    loop, _ = loop_of(rig, stopped.append)
    loop.tick()
    assert stopped == []
    rig.store.run_script("UPDATE dca_control SET epoch = epoch + 1;\n")
    rig.clock.pass_seconds(5)
    loop.tick()
    assert stopped == ["another main_app has started on this database"]


def test_F04_F11_every_order_is_asked_for_again_and_again_whoever_placed_it(rig: Rig) -> None:
    """Without any stream, and also one of an earlier start."""
    rig.quote("100")
    rig.start()
    loop, inbox = loop_of(rig)
    rig.exchange.fill(rig.last_id(), "0.1")
    for expected in ("0.1", "0.15"):
        rig.clock.pass_seconds(10)
        loop.tick()
        heard = taken(inbox)
        assert isinstance(heard, Snapshot) and heard.filled_qty == Decimal(expected)
        rig.exchange.fill(rig.last_id(), "0.15")


# ---- caretakers ------------------------------------------------------------------------------------------


def job_of(rig: Rig, name: str, kind: type[Job] = Job) -> Job:
    context = Context(name=name, settings=SETTINGS)
    return kind(context=context, store=rig.store, clock=rig.clock, dry_run=False, _broker=rig.exchange)


class Noting:
    """A store that remembers that it was asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.was_asked = False

    def transaction(self, work: Callable[[Transaction], R]) -> R:
        self.was_asked = True
        return self._store.transaction(work)


def test_F13_an_order_that_is_placed_while_the_order_manager_reads_is_no_orphan(rig: Rig) -> None:
    """The exchange's list is read first: what is on it is in the ledger, if it is ours."""
    listing = rig.exchange.open_orders
    job = job_of(rig, "order_manager")
    noting = Noting(rig.store)
    job.store = noting

    def list_orders() -> list[Snapshot]:
        if noting.was_asked and not rig.exchange.posts:
            rig.quote("100")
        return listing()

    rig.exchange.open_orders = list_orders  # type: ignore[method-assign]
    order_manager.main(job)
    assert rig.exchange.cancels == []


def test_F03_an_order_manager_without_a_list_does_not_say_that_all_is_well(rig: Rig) -> None:
    job = job_of(rig, "order_manager")
    rig.exchange.down = True
    with pytest.raises(ExchangeUnavailable):
        order_manager.main(job)


def test_F49_with_the_keys_of_another_account_the_order_manager_cancels_nothing(rig: Rig) -> None:
    rig.quote("100")
    rig.clock.pass_seconds(3600)
    rig.store.run_script("UPDATE dca_control SET account_id = 'another';\n")
    with pytest.raises(StartRefused, match="another"):
        order_manager.main(job_of(rig, "order_manager"))
    assert rig.exchange.cancels == []


def test_F13_a_cycle_that_places_an_order_at_the_last_moment_is_not_ended(rig: Rig) -> None:
    """Between the checker's second look and its hand."""

    class Late(Job):
        __slots__ = ()

        def act(self, what: str, symbol: str, work: Callable[[], object]) -> None:
            if what.startswith("end cycle"):
                rig.deposit("0.2")
                rig.quote("103")
            Job.act(self, what, symbol, work)

    rig.bought()
    rig.exchange.held[SYMBOL] = Decimal(0)
    every_five_minutes(rig, GONE_LOOKS - 1)
    rig.store.transaction(lambda tx: tx.unlock_asset(1))
    rig.look()
    rig.clock.pass_seconds(300)
    consistency_checker.main(job_of(rig, "consistency_checker", Late))
    assert rig.orders()[-1].state is OrderState.ACKED, "the sale is on its way"
    assert rig.cycle().id == 1 and rig.cycle().status is CycleStatus.SELLING
