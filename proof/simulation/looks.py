"""The part of the transaction in memory that looks around, like snapshot_queries.py of the real one."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from dca.core.model import Cycle, CycleStatus, Order, OrderState
from dca.core.operations import MissingPosition
from dca.core.order_limits import Placed
from proof.simulation.tables import Tables


class Looks:
    """Statements that read and lock nothing."""

    _tables: Tables
    _statement: Callable[[str], None]

    def given_up_orders(self, closed_after: datetime) -> list[Order]:
        self._statement("given_up_orders")
        given_up = {OrderState.VOID, OrderState.REJECTED}
        return [
            order
            for order in self._tables.orders.values()
            if order.state in given_up and order.closed_at is not None and order.closed_at > closed_after
        ]

    def error_cycles(self, completed_after: datetime) -> list[Cycle]:
        self._statement("error_cycles")
        return [each for each in self._ended(completed_after) if each.status is CycleStatus.ERROR]

    def leftover_cycles(self, completed_after: datetime) -> list[Cycle]:
        self._statement("leftover_cycles")
        found = []
        for cycle in self._ended(completed_after):
            sizes = [
                self._tables.orders[key].min_order_size for key in self._tables.of_cycle.get(cycle.id, ())
            ]
            if cycle.status is CycleStatus.COMPLETE and sizes and cycle.quantity >= max(sizes):
                found.append(cycle)
        return found

    def _ended(self, after: datetime) -> Iterable[Cycle]:
        cycles = self._tables.cycles.values()
        return (each for each in cycles if each.completed_at is not None and each.completed_at > after)

    def orders_with_open_fees(self, assumed_after: datetime, uncharged_after: datetime) -> list[Order]:
        self._statement("orders_with_open_fees")
        since = {"assumed": assumed_after, "executions": uncharged_after, "position": uncharged_after}
        return [
            order
            for order in self._tables.orders.values()
            if order.fee_source in since
            and order.filled_qty > 0
            and (order.exchange_order_id is not None or order.fee_source != "position")
            and order.closed_at is not None
            and order.closed_at > since[order.fee_source]
        ]

    def undecided_orders(self) -> list[Order]:
        self._statement("undecided_orders")
        return [order for order in self._tables.orders.values() if order.is_undecided]

    def known_ids(self, client_order_ids: list[str]) -> set[str]:
        self._statement("known_ids")
        return {name for name in client_order_ids if name in self._tables.by_client_id}

    def known_orders(self, client_order_ids: list[str]) -> list[Order]:
        self._statement("known_orders")
        tables = self._tables
        return [tables.orders[tables.by_client_id[n]] for n in client_order_ids if n in tables.by_client_id]

    def counting_orders(self, cycle_id: int, also: str | None = None) -> list[Order]:
        self._statement("counting_orders")
        return self._counting(cycle_id, also)

    def _counting(self, cycle_id: int, also: str | None = None) -> list[Order]:
        orders = [self._tables.orders[key] for key in self._tables.of_cycle.get(cycle_id, ())]
        known = [order.id for order in orders if order.exchange_order_id is not None]
        last = {orders[-1].id, *known[-1:]} if orders else set()
        return [
            order
            for order in orders
            if order.is_live or order.filled_qty > 0 or order.id in last or order.client_order_id == also
        ]

    def orders_of_cycles(self, cycle_ids: list[int]) -> list[Order]:
        self._statement("orders_of_cycles")
        return [order for each in sorted(cycle_ids) for order in self._counting(each)]

    def cycles_ended_since(self, then: datetime) -> list[Cycle]:
        self._statement("cycles_ended_since")
        return list(self._ended(then))

    def ended_cycles(self, asset_id: int, ended_after: datetime) -> list[Cycle]:
        self._statement("ended_cycles")
        mine = [each for each in self._ended(ended_after) if each.asset_id == asset_id]
        return sorted(mine, key=lambda cycle: -cycle.id)

    def last_done_run_at(self, job: str, before: datetime) -> datetime | None:  # noqa: ARG002
        """The runs of caretakers are not written down here."""
        self._statement("last_done_run_at")
        return None

    def missing_positions(self) -> list[MissingPosition]:
        self._statement("missing_positions")
        return [self._tables.missing[key] for key in sorted(self._tables.missing)]

    def orders_placed(self, asset_id: int, now: datetime) -> Placed:
        self._statement("orders_placed")
        return self._placed(asset_id, now, in_vain=False)

    def orders_in_vain(self, asset_id: int, now: datetime) -> Placed:
        self._statement("orders_in_vain")
        return self._placed(asset_id, now, in_vain=True)

    def _placed(self, asset_id: int, now: datetime, *, in_vain: bool) -> Placed:
        hour, minute = now - timedelta(hours=1), now - timedelta(minutes=1)
        recent = [
            each.created_at
            for each in self._tables.orders.values()
            if each.asset_id == asset_id and hour < each.created_at <= now
            if not (in_vain and each.filled_qty)
        ]
        return Placed(in_a_minute=sum(at > minute for at in recent), in_an_hour=len(recent))

    def buys_held_back(self, reason: str, now: datetime) -> int:
        self._statement("buys_held_back")
        cycles = (self._tables.cycles[key] for key in self._tables.live_cycle.values())
        return sum(
            each.next_buy_at is not None
            and each.next_buy_at > now
            and (each.problem or "").startswith(reason)
            for each in cycles
        )

    def last_action_at(self, asset_symbol: str, command: str) -> datetime | None:  # noqa: ARG002
        """Nobody gives commands here."""
        self._statement("last_action_at")
        return None
