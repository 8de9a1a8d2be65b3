"""consistency_checker.py's inside: settles what is in flight, compares both books, heals what is provable.

Nothing is concluded from a read that failed or was not whole. Quantities are never repaired by guessing:
what the orders do not explain locks the asset, with the numbers, until the books agree again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from dca import caretaking, ledger, lifecycle, start_checks
from dca.agreement import write_booking
from dca.caretaking import Books
from dca.desk import Desk
from dca.errors import LostRace, Unavailable
from dca.job import Job
from dca.logs import Troubles, fact, warn
from dca.model import (
    ZERO,
    Asset,
    Control,
    Cycle,
    CycleStatus,
    LockKind,
    Order,
    OrderState,
    Position,
    Snapshot,
    TradingRules,
    plain,
)
from dca.ports import Transaction
from dca.trader import Trader
from dca.worker import limits_of

LOOK_BACK = timedelta(days=2)
"""How far back orders that the ledger does not know are looked for; from a lock on, if there is one."""
LEFTOVERS = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Our book, as read in one transaction. `orders` by cycle."""

    assets: tuple[Asset, ...]
    cycles: dict[int, Cycle]
    orders: dict[int, tuple[Order, ...]]
    open_orders: tuple[Order, ...]
    leftovers: tuple[Cycle, ...]


class Checker:
    """One run."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._control: Control = job.store.transaction(lambda tx: tx.control())
        self._prefix = ledger.id_prefix(self._control.install_id)
        desk = Desk(self._control.install_id, self._control.epoch)
        limits = limits_of(job.settings)
        self._trader = Trader(job.store, job.broker, desk, job.clock, Troubles(), limits)

    def run(self) -> None:
        """Raises:
        StartRefused: the keys are of another account.
        Unavailable: nothing can be judged; nothing was changed by judging.
        """
        job = self._job
        self._begin_missing_cycles()
        account = start_checks.read_account(job.broker, job.settings.exchange)
        start_checks.check_binding(self._control, account, job.settings.database.name)
        self._settle()
        rules = job.broker.trading_rules()
        suspects = [books for books in self._look(rules) if not self._is_fine(books)]
        if suspects and not job.context.stopping.wait(job.settings.gone_seconds):
            self._look_again(rules, suspects)

    def _begin_missing_cycles(self) -> None:
        job = self._job
        assets, cycles = job.store.transaction(lambda tx: (tx.assets(), tx.live_cycles()))
        job.checked = len(assets)
        for asset in caretaking.missing_cycles(assets, cycles):

            def begin(asset: Asset = asset) -> bool:
                try:
                    job.store.transaction(lambda tx: tx.insert_cycle(asset.id, CycleStatus.WATCHING))
                except LostRace:
                    return False
                fact("cycle", "begins: there was no live one", symbol=asset.asset_symbol)
                return True

            job.act("begin a cycle: there is no live one", asset.asset_symbol, begin)

    def _settle(self) -> None:
        """Ask for every order in flight. One that cannot be had keeps its asset from being judged."""
        job = self._job
        orders = job.store.transaction(lambda tx: tx.open_orders())
        if job.dry_run or not orders:
            return
        for order in orders:
            try:
                settled = self._trader.settle(order).order
            except Unavailable as error:
                job.failed(f"not settled {order.client_order_id}", str(error), order.symbol)
            else:
                job.changed += (settled.state, settled.filled_qty) != (order.state, order.filled_qty)

    def _look(self, rules: dict[str, TradingRules]) -> list[Books]:
        """Both books of every asset that can be judged: nothing of it in flight, and its rows the same
        before and after the exchange was read."""
        job = self._job
        sick = self._heal()
        before = self._ledger()
        positions = job.broker.positions()
        unknown = self._forgotten()
        after = self._ledger()
        found = []
        for asset in after.assets:
            cycle = after.cycles.get(asset.id)
            if cycle is None or asset.asset_symbol not in rules:
                continue
            if not caretaking.holds_the_same(cycle, before.cycles.get(asset.id)):
                continue
            if asset.id in sick or caretaking.in_flight(after.orders[cycle.id]):
                continue
            found.append(self._books(asset, cycle, after, positions, unknown, rules))
        return found

    def _books(
        self,
        asset: Asset,
        cycle: Cycle,
        mine: Ledger,
        positions: dict[str, Position],
        unknown: list[Snapshot],
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
            forgotten=tuple(each for each in unknown if each.symbol.replace("/", "") == slashless),
            leftovers=tuple(late for late in mine.leftovers if late.asset_id == asset.id),
        )

    def _ledger(self) -> Ledger:
        since = self._job.clock.now() - LEFTOVERS

        def read(tx: Transaction) -> Ledger:
            cycles = tx.live_cycles()
            return Ledger(
                assets=tuple(tx.assets()),
                cycles={cycle.asset_id: cycle for cycle in cycles},
                orders={cycle.id: tuple(tx.orders(cycle.id)) for cycle in cycles},
                open_orders=tuple(tx.open_orders()),
                leftovers=tuple(tx.leftover_cycles(since)),
            )

        return self._job.store.transaction(read)

    def _forgotten(self) -> list[Snapshot]:
        """Orders with our id that are open or have filled, that the ledger does not know, and that the
        operator has not accepted since. The list is read before the ledger: see caretaking.strangers."""
        broker = self._job.broker
        listed = broker.open_orders()
        listed += [each for each in broker.closed_orders(self._look_back()) if each.filled_qty]
        ours = [each for each in listed if each.client_order_id.startswith(self._prefix)]
        self._book_late(ours)

        def read(tx: Transaction) -> list[Snapshot]:
            known = tx.known_ids([each.client_order_id for each in ours])
            unknown = [each for each in ours if each.client_order_id not in known]
            accepted = {each.symbol: tx.last_action_at(each.symbol, "accept") for each in unknown}
            return [each for each in unknown if not _is_before(each, accepted[each.symbol])]

        return self._job.store.transaction(read)

    def _book_late(self, ours: Sequence[Snapshot]) -> None:
        """Orders that were given up and are there after all: booked, which locks the asset (F22)."""

        since = self._look_back()

        def read(tx: Transaction) -> list[Snapshot]:
            given_up = {order.client_order_id: order for order in tx.given_up_orders(since)}
            return [
                each
                for each in ours
                if each.client_order_id in given_up
                and ledger.mismatch(given_up[each.client_order_id], each) is None
            ]

        for snapshot in self._job.store.transaction(read):
            what = f"book {snapshot.client_order_id}, which was given up and is there"
            self._job.act(what, snapshot.symbol, partial(self._trader.books.book, snapshot))

    def _look_back(self) -> datetime:
        """A lock must not end because the order behind it has grown old."""
        assets = self._job.store.transaction(lambda tx: tx.assets())
        locks = [each.locked_at for each in assets if each.lock_kind is LockKind.BREAK and each.locked_at]
        return min([self._job.clock.now(), *locks]) - LOOK_BACK

    def _heal(self) -> set[int]:
        """Rows that their orders explain, and that say something else: edited by hand, most likely.

        Returns the assets whose rows are still so, in a dry run: there is nothing to compare with.
        """
        job = self._job
        sick = set()
        for asset in job.store.transaction(lambda tx: tx.assets()):
            before = job.store.transaction(self._healing(asset, write=False))
            if before is not None:
                why = f"status={before[0].status}->{before[1].status}"
                heal = self._healing(asset, write=True)

                def act(heal: Callable[[Transaction], object] = heal) -> bool:
                    return job.store.transaction(heal) is not None

                job.act(f"compute cycle {before[0].id} anew from its orders, {why}", asset.asset_symbol, act)
                if job.dry_run:
                    sick.add(asset.id)
        return sick

    def _healing(self, asset: Asset, *, write: bool) -> Callable[[Transaction], tuple[Cycle, Cycle] | None]:
        now = self._job.clock.now()

        def work(tx: Transaction) -> tuple[Cycle, Cycle] | None:
            cycle = tx.live_cycle(asset.id)
            if cycle is None:
                return None
            orders = tx.orders(cycle.id)
            if lifecycle.other_symbol(asset, orders) or lifecycle.unexplained(cycle, orders):
                return None  # a break, not to be explained away
            booking = lifecycle.healed(cycle, orders, now)
            if booking.cycle == cycle:
                return None
            if write:
                write_booking(tx, cycle, booking, now)
                symbol = asset.asset_symbol
                warn("cycle", "computed anew from its orders", symbol=symbol, cycle=cycle.id)
            return cycle, booking.cycle

        return work

    def _is_fine(self, books: Books) -> bool:
        """Whether there is nothing new to worry about; an asset whose books agree again is unlocked."""
        job, asset = self._job, books.asset
        extra = caretaking.surplus(books)
        if extra:
            job.notes.append(f"{asset.asset_symbol}: {plain(extra)} on the account are not the bot's")
        if caretaking.is_gone(books):
            return False
        agree = caretaking.break_of(books) is None
        if agree and asset.lock_kind is LockKind.BREAK:
            job.act("unlock: the books agree", asset.asset_symbol, lambda: self._unlock(asset))
        return agree or asset.lock_reason is not None

    def _lock(self, asset: Asset, reason: str) -> bool:
        now = self._job.clock.now()
        locked = self._job.store.transaction(lambda tx: tx.lock_asset(asset.id, reason, now))
        if locked:
            warn("asset", "locked", symbol=asset.asset_symbol, why=reason)
        return locked

    def _unlock(self, asset: Asset) -> bool:
        unlocked = self._job.store.transaction(lambda tx: tx.unlock_asset(asset.id))
        if unlocked:
            fact("asset", "unlocked", symbol=asset.asset_symbol, why="the books agree")
        return unlocked

    def _look_again(self, rules: dict[str, TradingRules], suspects: list[Books]) -> None:
        """The second read, of what seemed wrong at the first: positions lag behind fills, and have been seen
        empty for a while (alpaca.md 2.4). Only what is wrong twice, with no order of ours between, is."""
        first = {books.asset.id: books for books in suspects}
        for books in self._look(rules):
            seen = first.get(books.asset.id)
            if seen is None or not caretaking.holds_the_same(books.cycle, seen.cycle):
                continue
            if caretaking.is_gone(books) and caretaking.is_gone(seen):
                self._end(books)
            else:
                self._lock_if_broken(books)

    def _lock_if_broken(self, books: Books) -> None:
        asset, reason = books.asset, caretaking.break_of(books)
        if reason is not None and asset.lock_reason is None:
            self._job.act(f"lock: {reason}", asset.asset_symbol, lambda: self._lock(asset, reason))

    def _end(self, books: Books) -> None:
        """The position is gone for certain: end the cycle, begin the next in cooldown."""
        job, asset, seen = self._job, books.asset, books.cycle
        reason = (
            f"the position is gone: the account holds {plain(books.position.qty)} where the ledger has "
            f"{plain(seen.quantity)}, and no sell of ours explains it"
        )

        def work(tx: Transaction) -> bool:
            cycle = tx.cycle(seen.id)
            if not caretaking.holds_the_same(cycle, seen) or caretaking.in_flight(tx.orders(cycle.id)):
                return False
            now = job.clock.now()
            tx.update_cycle(lifecycle.proven_broken(cycle, reason, now))
            tx.set_last_sell_price(asset.id, None)  # no price is known that could end the cooldown early
            tx.insert_cycle(asset.id, CycleStatus.COOLDOWN, now)
            return True

        def act() -> bool:
            ended = job.store.transaction(work)
            if ended:
                warn("cycle", "ended as error", symbol=asset.asset_symbol, cycle=seen.id, why=reason)
            return ended

        job.act(f"end cycle {seen.id} as error: {reason}", asset.asset_symbol, act)


def _is_before(snapshot: Snapshot, accepted_at: datetime | None) -> bool:
    at = snapshot.updated_at or snapshot.created_at
    return accepted_at is not None and at is not None and at < accepted_at
