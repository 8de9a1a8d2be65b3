"""The consistency checker: settles orders in flight, compares both books, repairs what is provable.

Nothing is concluded from a failed or partial read. Quantities are never repaired by guessing: a difference
that the orders do not explain locks the asset, with the figures, until the books agree again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from dca.caretakers import own_ledger
from dca.caretakers.absences import Absences
from dca.caretakers.exchange_lists import Listing, Listings
from dca.caretakers.job import Job
from dca.caretakers.own_ledger import LEFTOVERS, Inspection, Inspector
from dca.core import fees, invariants, ledger, lifecycle, order_cleanup
from dca.core.errors import LostRace, Unavailable
from dca.core.interfaces import Transaction
from dca.core.invariants import Violation
from dca.core.model import (
    ZERO,
    Asset,
    Control,
    Cycle,
    CycleStatus,
    Execution,
    LockKind,
    Order,
    OrderState,
    Position,
    Snapshot,
    TradingRules,
    plain,
)
from dca.core.order_cleanup import Books
from dca.exchange import account_checks
from dca.runtime.log_lines import Troubles, fact, warn
from dca.trading import fee_evidence
from dca.trading.cycle_writes import begin_first
from dca.trading.trader import Trader
from dca.trading.watchlist import Desk
from dca.trading.worker import limits_of

A_DAY = timedelta(days=1)
"""Sales are searched from this long before the last run, which may have skipped the pair for an order in
flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The ledger as read in one transaction. `orders` is by cycle."""

    assets: tuple[Asset, ...]
    cycles: dict[int, Cycle]
    orders: dict[int, tuple[Order, ...]]
    open_orders: tuple[Order, ...]
    leftovers: tuple[Cycle, ...]


class Checker:
    """One run."""

    def __init__(self, job: Job) -> None:
        self._job = job
        known = job.store.transaction(lambda tx: (tx.control(), tx.missing_positions()))
        self._control: Control = known[0]
        self._absences = Absences(job, known[1])
        self._short: set[int] = set()
        desk = Desk(self._control.install_id, self._control.epoch)
        limits = limits_of(job.settings)
        self._trader = Trader(job.store, job.broker, desk, job.clock, Troubles(), limits)
        self._listings = Listings(job, self._control, self._trader)
        self._own = Inspection()
        self._fills: tuple[Execution, ...] = ()

    def run(self) -> None:
        """Raises:
        StartRefused: the keys are of another account.
        Unavailable: nothing could be judged, and nothing was changed.
        """
        job = self._job
        self._inspector = Inspector(job, self._begin_missing_cycles())
        self._own = self._inspector.inspect()  # needs only the database
        account = account_checks.read_account(job.broker, job.settings.exchange)
        account_checks.check_binding(self._control, account, job.settings.database.name)
        denied = self._settle()
        rules = job.broker.trading_rules()
        looked = self._look(rules)
        self._fills = self._fills_of(looked)
        suspects = [books for books in looked if not self._is_fine(books)]
        if (suspects or denied) and not job.context.stopping.wait(job.settings.gone_seconds):
            self._own = self._inspector.inspect()
            self._look_again(rules, suspects)
            self._ask_again(denied)
        self._absences.write()

    def _begin_missing_cycles(self) -> set[int]:
        """Start a cycle for each asset without a live one. Returns the assets that certainly have one."""
        job = self._job
        assets, cycles = job.store.transaction(lambda tx: (tx.assets(), tx.live_cycles()))
        job.checked = len(assets)
        missing = order_cleanup.missing_cycles(assets, cycles)
        for asset in missing:

            def begin(asset: Asset = asset) -> bool:
                try:
                    begun = job.store.transaction(lambda tx: begin_first(tx, asset, job.clock.now()))
                except LostRace:
                    return False
                if not begun:
                    return False
                fact("cycle", "started: there was no live one", symbol=asset.asset_symbol)
                return True

            job.act("start a cycle: there is no live one", asset.asset_symbol, begin)
        return set() if job.dry_run else {asset.id for asset in assets if asset.is_enabled}

    def _settle(self) -> list[Order]:
        """Query every order in flight: one list for all, and a lookup for each that the list lacks or shows
        changed. If a lookup fails, its asset is not judged. Returns the orders that the exchange accepted
        earlier and now does not know."""
        job = self._job
        orders = job.store.transaction(lambda tx: tx.open_orders())
        if job.dry_run or not orders:
            return []
        listed = {each.client_order_id: each for each in job.broker.open_orders()}
        denied = []
        for order in orders:
            if self._is_as_listed(order, listed.get(order.client_order_id)):
                continue
            try:
                settled = self._trader.settle(order)
            except Unavailable as error:
                job.failed(f"not settled {order.client_order_id}", str(error), order.symbol)
                continue
            after = settled.order
            job.changed += (after.state, after.filled_qty) != (order.state, order.filled_qty)
            if settled.snapshot is None and self._was_accepted(after):
                denied.append(after)
        return denied

    def _is_as_listed(self, order: Order, snapshot: Snapshot | None) -> bool:
        """Whether the list shows no change to an order, and nothing is due for it."""
        if snapshot is None or ledger.is_incomplete(snapshot) or order.state is not OrderState.ACKED:
            return False
        is_same = ledger.mismatch(order, snapshot) is None
        return is_same and ledger.merge(order, snapshot, self._job.clock.now()) == order

    def _was_accepted(self, order: Order) -> bool:
        young = self._job.clock.now() - order.last_sent_at < self._job.settings.quiet_period
        return order.exchange_order_id is not None and not young

    def _ask_again(self, denied: list[Order]) -> None:
        assets = {asset.id: asset for asset in self._job.store.transaction(lambda tx: tx.assets())}
        for order in denied:
            try:
                settled = self._trader.settle(order)
            except Unavailable as error:
                self._job.failed(f"not settled {order.client_order_id}", str(error), order.symbol)
                continue
            if settled.snapshot is None:
                self._lock(assets[order.asset_id], [invariants.denied(order)])

    def _look(self, rules: dict[str, TradingRules]) -> list[Books]:
        """Both books of every asset that can be judged: no order in flight, and the same rows before and
        after the exchange was read."""
        job = self._job
        before = self._ledger()
        positions = job.broker.positions()
        looked_at = [order for orders in self._own.orders.values() for order in orders]
        listing = self._listings.compare(before.assets, looked_at)
        after = self._ledger()
        self._absences.keep(after.cycles.values())
        self._short = order_cleanup.short_of_coins(after.assets, after.cycles, positions, rules)
        found = []
        for asset in after.assets:
            cycle = after.cycles.get(asset.id)
            if cycle is None or asset.asset_symbol not in rules:
                continue
            if not order_cleanup.holds_the_same(cycle, before.cycles.get(asset.id)):
                continue
            if asset.id in self._own.sick or order_cleanup.in_flight(after.orders[cycle.id]):
                continue
            found.append(self._books(asset, cycle, after, positions, listing, rules))
        return found

    def _books(
        self,
        asset: Asset,
        cycle: Cycle,
        mine: Ledger,
        positions: dict[str, Position],
        listing: Listing,
        rules: dict[str, TradingRules],
    ) -> Books:
        symbol = asset.asset_symbol
        nothing = Position(symbol=symbol, qty=ZERO, qty_available=ZERO)
        slashless = symbol.replace("/", "")
        return Books(
            asset=asset,
            cycle=cycle,
            orders=mine.orders[cycle.id],
            ghosts=tuple(
                order
                for order in mine.open_orders
                if order.asset_id == asset.id and order.state is OrderState.GHOST
            ),
            position=positions.get(slashless, nothing),
            rules=rules[symbol],
            forgotten=tuple(each for each in listing.forgotten if each.symbol.replace("/", "") == slashless),
            leftovers=tuple(late for late in mine.leftovers if late.asset_id == asset.id),
            differences=tuple(listing.differences.get(asset.id, ())),
        )

    def _ledger(self) -> Ledger:
        since = self._job.clock.now() - LEFTOVERS

        def read(tx: Transaction) -> Ledger:
            cycles = tx.live_cycles()
            orders = own_ledger.by_cycle(tx, cycles)
            return Ledger(
                assets=tuple(tx.assets()),
                cycles={cycle.asset_id: cycle for cycle in cycles},
                orders={cycle.id: tuple(orders[cycle.id]) for cycle in cycles},
                open_orders=tuple(tx.open_orders()),
                leftovers=tuple(tx.leftover_cycles(since)),
            )

        return self._job.store.transaction(read)

    def _is_fine(self, books: Books) -> bool:
        """Whether an asset needs no second check; unlocks an asset whose books agree again."""
        job, asset = self._job, books.asset
        extra = order_cleanup.surplus(books)
        if extra:
            job.notes.append(f"{asset.asset_symbol}: {plain(extra)} on the account are not the bot's")
        if order_cleanup.is_gone(books) and (len(self._short) == 1 or asset.lock_reason is None):
            return False
        # It is present; or several are missing and it is already locked: such a list proves nothing.
        self._absences.forget(books.cycle)
        breaks = order_cleanup.breaks(books)
        if not breaks and asset.lock_kind is LockKind.BREAK:
            self._end_or_renew(asset)
        if not breaks:
            self._look_at_fees(books)
        return not breaks or asset.lock_reason is not None

    def _look_at_fees(self, books: Books) -> None:
        job, held = self._job, books.position.qty
        if fees.shown_by(books.orders, held, self._control.fee_rate, job.clock.now(), self._fills):
            what = f"book the fees of cycle {books.cycle.id} that the position shows"
            job.act(what, books.asset.asset_symbol, partial(self._believe, books))

    def _fills_of(self, looked: Sequence[Books]) -> tuple[Execution, ...]:
        """One list for all that hold a little more than the ledger: sixty would use up the requests."""
        unclear = [books for books in looked if fees.are_unclear(books.cycle, books.position.qty)]
        orders = [order for books in unclear for order in books.orders]
        return fee_evidence.listed_fills(self._job.broker, orders) if unclear else ()

    def _believe(self, books: Books) -> bool:
        now = self._job.clock.now()

        def work(tx: Transaction) -> bool:
            control, cycle = tx.control(), tx.cycle(books.cycle.id)
            orders = tx.counting_orders(cycle.id)
            if not order_cleanup.holds_the_same(cycle, books.cycle) or order_cleanup.in_flight(orders):
                return False
            _, after, _ = fee_evidence.believe(tx, control, cycle, orders, books.position, now, self._fills)
            if after != cycle:
                tx.update_cycle(lifecycle.checked(after))
            return True

        return self._job.store.transaction(work)

    def _end_or_renew(self, asset: Asset) -> None:
        """Unlock an asset whose books agree, unless our ledger is inconsistent: then update the lock's
        reason."""
        job = self._job
        own = job.store.transaction(partial(self._inspector.judge, asset))
        if not own:
            job.act("unlock: the books agree", asset.asset_symbol, partial(self._unlock, asset))
        elif {each.number for each in own} != {*invariants.numbers(asset.lock_reason or "")}:
            what = f"update the lock's reason: {invariants.reason(own)}"
            job.act(what, asset.asset_symbol, partial(self._renew, asset))

    def _lock(self, asset: Asset, violations: list[Violation]) -> None:
        if violations and asset.lock_reason is None:
            what = f"lock: {invariants.reason(violations)}"
            work = partial(own_ledger.lock, self._job, asset, lambda _: violations)
            self._job.act(what, asset.asset_symbol, work)

    def _renew(self, asset: Asset) -> bool:
        def judge(tx: Transaction) -> list[Violation]:
            tx.unlock_asset(asset.id)
            return self._inspector.judge(asset, tx)

        return own_ledger.lock(self._job, asset, judge)

    def _unlock(self, asset: Asset) -> bool:
        def work(tx: Transaction) -> bool:
            return not self._inspector.judge(asset, tx) and tx.unlock_asset(asset.id)

        unlocked = self._job.store.transaction(work)
        if unlocked:
            fact("asset", "unlocked", symbol=asset.asset_symbol, why="the books agree")
        return unlocked

    def _look_again(self, rules: dict[str, TradingRules], suspects: list[Books]) -> None:
        """Read what seemed wrong a second time: positions lag behind fills, and can be empty for a while
        (alpaca.md 2.4). Only a difference seen twice, with no order of ours in between, counts."""
        first = {books.asset.id: books for books in suspects}
        for books in self._look(rules):
            seen = first.get(books.asset.id)
            if seen is None or not order_cleanup.holds_the_same(books.cycle, seen.cycle):
                continue
            if order_cleanup.is_gone(books) and order_cleanup.is_gone(seen):
                self._missing(books)
            else:
                self._absences.forget(books.cycle)
                seen_before = {each.key for each in order_cleanup.breaks(seen)}
                breaks = order_cleanup.breaks(books)
                self._lock(books.asset, [each for each in breaks if each.key in seen_before])

    def _missing(self, books: Books) -> None:
        """Handle a position missing in both reads of this run: lock the asset, and end the cycle once enough
        runs have seen only this pair missing and no sale outside the bot explains it."""
        others = len(self._short - {books.asset.id})
        sales: list[Execution] = []
        try:
            sales = self._sales_past_the_bot(books)
            is_known = True
        except Unavailable as error:
            self._job.failed("could not read the sales of the pair", str(error), books.asset.asset_symbol)
            is_known = False
        if others or sales:
            self._absences.forget(books.cycle)
        elif is_known and order_cleanup.is_beyond_doubt(self._absences.seen(books.cycle)):
            self._end(books)
            return
        self._lock(books.asset, [order_cleanup.missing_coins(books, sales, others)])

    def _sales_past_the_bot(self, books: Books) -> list[Execution]:
        """Sales of the pair by no order of ours, in the period in which its coins disappeared."""
        asset, cycle, name = books.asset, books.cycle, self._job.context.name
        missing_since = self._absences.first_of(cycle).first_seen_at

        def read(tx: Transaction) -> tuple[datetime, set[str | None]]:
            earliest = missing_since - LEFTOVERS
            there_at = max(tx.last_done_run_at(name, missing_since) or earliest, earliest) - A_DAY
            cycles = [cycle.id, *(each.id for each in tx.ended_cycles(asset.id, there_at))]
            return there_at, {order.exchange_order_id for order in tx.orders_of_cycles(cycles)}

        there_at, ours = self._job.store.transaction(read)
        sold = self._job.broker.sales(asset.asset_symbol, there_at)
        return [each for each in sold if each.exchange_order_id not in ours]

    def _end(self, books: Books) -> None:
        """End the cycle of a position that is certainly gone, and start the next one in cooldown."""
        job, asset, seen = self._job, books.asset, books.cycle
        reason = (
            f"the position is gone: the account holds {plain(books.position.qty)} where the ledger has "
            f"{plain(seen.quantity)}, for "
            f"{order_cleanup.GONE_FOR.total_seconds() / 60:.0f} minutes or more, "
            "and no sale explains it"
        )

        def work(tx: Transaction) -> bool:
            cycle = tx.cycle(seen.id)
            orders = tx.counting_orders(cycle.id)
            if not order_cleanup.holds_the_same(cycle, seen) or order_cleanup.in_flight(orders):
                return False
            now = job.clock.now()
            tx.update_cycle(lifecycle.proven_broken(cycle, reason, now))
            tx.set_last_sell_price(asset.id, None)  # no price is known that could end the cooldown early
            tx.insert_cycle(asset.id, CycleStatus.COOLDOWN, now)
            return True

        def act() -> bool:
            ended = job.store.transaction(work)
            if ended:
                self._absences.forget(seen)
                warn("cycle", "ended as error", symbol=asset.asset_symbol, cycle=seen.id, why=reason)
            return ended

        job.act(f"end cycle {seen.id} as error: {reason}", asset.asset_symbol, act)
