"""Compares the exchange's order lists with the ledger."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from dca.caretakers.job import Job
from dca.caretakers.own_ledger import unaccepted
from dca.core import invariants, ledger
from dca.core.interfaces import Transaction
from dca.core.invariants import Violation
from dca.core.model import GIVEN_UP_STATES, Asset, Control, LockKind, Order, OrderState, Snapshot
from dca.trading.trader import Trader

LOOK_BACK = timedelta(days=2)
"""How far back orders are compared; for a locked asset, counted from the lock."""
RECENT = timedelta(hours=2)
"""How far back in all runs except the first of an hour. Two days of sixty busy pairs, read twice per run,
need more requests than a run's share of the rate limit."""
FIRST_MINUTES = 5
"""The first run of an hour, as cron runs them."""
MOST_ASKED = 10
"""Most orders looked up individually in a run because the list lacks them."""

Span = tuple[datetime, datetime | None]
"""A period of submission: after `after` and, if given, before `before`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """`forgotten`: orders with our id that are open or have filled, that the ledger does not know, and that
    the operator has not accepted since. `differences`: by asset, orders that both books know, and tell
    differently; and those that only the ledger has."""

    forgotten: list[Snapshot]
    differences: dict[int, list[Violation]]


def spans(locks: Sequence[datetime], recent: datetime) -> list[Span]:
    """The periods to list, without overlap: everything since `recent`, and the time around each lock. A lock
    must not end because its order has grown old, and listing everything since an old lock would exceed a
    run's requests."""
    found: list[Span] = []
    for after, before in (*((at - LOOK_BACK, at + RECENT) for at in sorted(locks)), (recent, None)):
        start, end = found[-1] if found else (after, None)
        if end is not None and after <= end:
            found[-1] = (start, before)
        else:
            found.append((after, before))
    return found


class Listings:
    """One read of the exchange's lists, and its comparison with the ledger."""

    def __init__(self, job: Job, control: Control, trader: Trader) -> None:
        self._job = job
        self._prefix = ledger.id_prefix(control.install_id)
        self._trader = trader

    def compare(self, assets: Sequence[Asset], mine: Sequence[Order]) -> Listing:
        """Read the exchange's lists, book what came late, and compare. `mine` are the orders of cycles that
        were looked at. The lists are read before the ledger: see caretaking.strangers.

        Raises:
            Unavailable: a list could not be read; nothing was concluded.
        """
        job = self._job
        listed_spans = self._spans(assets)
        listed = [*job.broker.open_orders()]
        for after, before in listed_spans:
            listed += job.broker.closed_orders(after, before)
        ours = [each for each in listed if each.client_order_id.startswith(ledger.ANY_PREFIX)]
        known = self._known(ours)
        if self._book_late(known, ours):
            known = self._known(ours)
        unknown = [
            each
            for each in ours
            if each.client_order_id.startswith(self._prefix)
            and each.client_order_id not in known
            and (each.filled_qty or not each.is_closed)
        ]
        settled = job.clock.now() - job.settings.quiet_period
        pairs = [(known[each.client_order_id], each) for each in ours if each.client_order_id in known]
        differences = [
            *self._told_otherwise(pairs, settled),
            *self._not_there(mine, listed, listed_spans, settled),
        ]
        return job.store.transaction(lambda tx: _seen(tx, assets, unknown, differences))

    def _spans(self, assets: Sequence[Asset]) -> list[Span]:
        now = self._job.clock.now()
        is_long = self._job.dry_run or now.minute < FIRST_MINUTES
        locks = [each.locked_at for each in assets if each.lock_kind is LockKind.BREAK and each.locked_at]
        return spans([min(now, at) for at in locks], now - (LOOK_BACK if is_long else RECENT))

    def _known(self, ours: Sequence[Snapshot]) -> dict[str, Order]:
        names = [each.client_order_id for each in ours]
        found = self._job.store.transaction(lambda tx: tx.known_orders(names))
        return {each.client_order_id: each for each in found}

    def _book_late(self, known: dict[str, Order], ours: Sequence[Snapshot]) -> bool:
        """Book orders that turned up after they were given up, which locks the asset (F22), and late fills of
        ended orders, which are no longer polled (F73). Returns whether there were any."""
        late = [
            each
            for each in ours
            if each.client_order_id in known and _is_late(known[each.client_order_id], each)
        ]
        for snapshot in late:
            state = known[snapshot.client_order_id].state.value
            what = f"book {snapshot.client_order_id}, which is {state} here and {snapshot.status} there"
            self._job.act(what, snapshot.symbol, partial(self._trader.books.book, snapshot))
        return bool(late)

    def _told_otherwise(
        self, pairs: Sequence[tuple[Order, Snapshot]], settled: datetime
    ) -> Iterator[tuple[int, Violation]]:
        """Whether an order ended so recently that the lists may lag: it is compared in the next run."""
        for order, snapshot in pairs:
            is_to_be_booked = self._job.dry_run and _is_late(order, snapshot)
            if not is_to_be_booked and (order.closed_at is None or order.closed_at < settled):
                yield from ((order.asset_id, each) for each in invariants.of_order(order, snapshot))

    def _not_there(
        self,
        mine: Sequence[Order],
        listed: Sequence[Snapshot],
        listed_spans: Sequence[Span],
        settled: datetime,
    ) -> Iterator[tuple[int, Violation]]:
        """Look up the orders that a list lacks: a list alone never proves that an order does not exist."""
        names = {each.client_order_id for each in listed}
        expected = (
            order for span in listed_spans for order in invariants.listed_by_now(mine, *span, settled)
        )
        missing = [order for order in expected if order.client_order_id not in names]
        for order in missing[:MOST_ASKED]:
            if self._job.broker.order(order.client_order_id) is None:
                yield order.asset_id, invariants.denied(order)


def _is_late(order: Order, snapshot: Snapshot) -> bool:
    if order.is_live or ledger.is_incomplete(snapshot) or ledger.stranger(order, snapshot) is not None:
        return False
    if order.state in GIVEN_UP_STATES - {OrderState.GHOST}:
        return bool(snapshot.filled_qty) or not snapshot.is_closed
    return snapshot.filled_qty > order.filled_qty


def _seen(
    tx: Transaction,
    assets: Sequence[Asset],
    unknown: Sequence[Snapshot],
    differences: Sequence[tuple[int, Violation]],
) -> Listing:
    """The differences without those that the operator has accepted."""
    accepted = {each.symbol: tx.last_action_at(each.symbol, "accept") for each in unknown}
    found = {
        asset.id: unaccepted(tx, asset, [each for asset_id, each in differences if asset_id == asset.id])
        for asset in assets
    }
    return Listing(
        forgotten=[each for each in unknown if not _is_before(each, accepted[each.symbol])],
        differences={asset_id: each for asset_id, each in found.items() if each},
    )


def _is_before(snapshot: Snapshot, accepted_at: datetime | None) -> bool:
    at = snapshot.updated_at or snapshot.created_at
    return accepted_at is not None and at is not None and at < accepted_at
