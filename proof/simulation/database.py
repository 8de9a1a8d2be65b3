"""Our tables in memory: what store.Transaction promises, without a server. tests/proof/test_contract.py
holds both to one contract.

A transaction runs without a switch in between, as if every row it touches were locked: interleavings of
single statements are for the races on the real server (tests/trading/test_races.py).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

from dca.core.errors import LostRace, RowGone
from dca.core.ledger import unknown_word
from dca.core.model import (
    ENDED,
    Asset,
    Control,
    Cycle,
    CycleStatus,
    LockKind,
    Mode,
    Order,
    OrderState,
)
from dca.core.operations import MissingPosition, Owner
from proof.simulation.looks import Looks
from proof.simulation.table_rules import check_cycle, check_order, same_version, stored_row
from proof.simulation.tables import Key, Tables

R = TypeVar("R")
Row = Asset | Cycle | Order

_ABSENT = object()


@dataclass(slots=True)
class Attempt:
    sent_at: datetime
    answer: str | None = None


class Transaction(Looks):
    """One transaction; `before_statement` is called with a name before each, and may raise."""

    def __init__(self, tables: Tables, before_statement: Callable[[str], None]) -> None:
        self._tables = tables
        self._statement = before_statement
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self._before = tables.control, tables.owner
        self.changed: set[Key] = set()

    # ---- the transaction itself ------------------------------------------------------------------------

    def roll_back(self) -> None:
        for table, key, before in reversed(self._undo):
            if before is _ABSENT:
                table.pop(key, None)
            else:
                table[key] = before
        self._tables.control, self._tables.owner = self._before

    def _set(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = value

    def _drop(self, table: dict[Any, Any], key: Any) -> None:
        self._undo.append((table, key, table.get(key, _ABSENT)))
        table.pop(key, None)

    # ---- reading -----------------------------------------------------------------------------------------

    def control(self) -> Control:
        self._statement("control")
        return self._tables.control

    def asset(self, asset_id: int) -> Asset | None:
        self._statement("asset")
        return self._tables.assets.get(asset_id)

    def assets(self) -> list[Asset]:
        self._statement("assets")
        return [self._tables.assets[key] for key in sorted(self._tables.assets)]

    def live_cycle(self, asset_id: int) -> Cycle | None:
        self._statement("live_cycle")
        found = self._tables.live_cycle.get(asset_id)
        return None if found is None else self._tables.cycles[found]

    def cycle(self, cycle_id: int) -> Cycle:
        self._statement("cycle")
        if cycle_id not in self._tables.cycles:
            raise RowGone(f"cycle {cycle_id} is not in the database any more")
        return self._tables.cycles[cycle_id]

    def live_cycles(self) -> list[Cycle]:
        self._statement("live_cycles")
        return [self._tables.cycles[key] for key in self._tables.live_cycle.values()]

    def orders(self, cycle_id: int) -> list[Order]:
        self._statement("orders")
        return [self._tables.orders[key] for key in self._tables.of_cycle.get(cycle_id, ())]

    def cycle_of_order(self, client_order_id: str) -> int | None:
        self._statement("cycle_of_order")
        found = self._tables.by_client_id.get(client_order_id)
        return None if found is None else self._tables.orders[found].cycle_id

    def attempts(self, order_id: int) -> tuple[int, int]:
        self._statement("attempts")
        found = list(self._attempts(order_id))
        return len(found), sum(answer is None for _, (_, answer) in found)

    def _attempts(self, order_id: int) -> Iterator[tuple[tuple[int, int], tuple[datetime, str | None]]]:
        number = 1
        while (row := self._tables.attempts.get((order_id, number))) is not None:
            yield (order_id, number), row
            number += 1

    def open_orders(self) -> list[Order]:
        self._statement("open_orders")
        return [self._tables.orders[key] for key in self._tables.open_orders]

    def replace_missing_positions(self, found: list[MissingPosition]) -> None:
        self._statement("replace_missing_positions")
        for key in list(self._tables.missing):
            self._drop(self._tables.missing, key)
        for each in found:
            self._set(self._tables.missing, each.cycle_id, each)

    # ---- writing ---------------------------------------------------------------------------------------

    def insert_order(self, order: Order) -> Order:
        self._statement("insert_order")
        tables = self._tables
        number = tables.next_id("dca_orders")  # InnoDB counts on, also if the row is refused
        if order.client_order_id in tables.by_client_id:
            raise LostRace(f"client_order_id {order.client_order_id} is used")
        if order.is_live and order.asset_id in tables.live_order:
            raise LostRace(f"asset {order.asset_id} has a live order")
        stored: Order = stored_row("dca_orders", replace(order, id=number, version=0))
        check_order(stored)
        self._put_order(stored)
        self._set(tables.by_client_id, stored.client_order_id, stored.id)
        of_cycle = tables.of_cycle.get(stored.cycle_id, ())
        self._set(tables.of_cycle, stored.cycle_id, (*of_cycle, stored.id))
        self.insert_attempt(stored.id, 1, stored.last_sent_at)
        return stored

    def _put_order(self, order: Order) -> None:
        tables = self._tables
        self._set(tables.orders, order.id, order)
        self.changed.add(("order", order.id))
        if order.is_live:
            if tables.live_order.get(order.asset_id, order.id) != order.id:
                raise LostRace(f"asset {order.asset_id} has a live order")
            self._set(tables.live_order, order.asset_id, order.id)
        elif tables.live_order.get(order.asset_id) == order.id:
            self._drop(tables.live_order, order.asset_id)
        if order.is_live or (order.state is OrderState.GHOST and order.closed_at is None):
            self._set(tables.open_orders, order.id, None)
        elif order.id in tables.open_orders:
            self._drop(tables.open_orders, order.id)

    def update_order(self, order: Order) -> None:
        self._statement("update_order")
        if unknown_word(order) is not None:
            return
        same_version(order, self._tables.orders[order.id])
        stored = stored_row("dca_orders", replace(order, version=order.version + 1))
        check_order(stored)
        self._put_order(stored)

    def insert_cycle(
        self, asset_id: int, status: CycleStatus, cooldown_started_at: datetime | None = None
    ) -> None:
        self._statement("insert_cycle")
        number = self._tables.next_id("dca_cycles")
        if asset_id in self._tables.live_cycle:
            raise LostRace(f"asset {asset_id} has a live cycle")
        self._put_cycle(
            Cycle(id=number, asset_id=asset_id, status=status, cooldown_started_at=cooldown_started_at)
        )

    def _put_cycle(self, cycle: Cycle) -> None:
        tables = self._tables
        self._set(tables.cycles, cycle.id, cycle)
        self.changed.add(("cycle", cycle.id))
        if cycle.status not in ENDED:
            if tables.live_cycle.get(cycle.asset_id, cycle.id) != cycle.id:
                raise LostRace(f"asset {cycle.asset_id} has a live cycle")
            self._set(tables.live_cycle, cycle.asset_id, cycle.id)
        elif tables.live_cycle.get(cycle.asset_id) == cycle.id:
            self._drop(tables.live_cycle, cycle.asset_id)

    def update_cycle(self, cycle: Cycle) -> None:
        self._statement("update_cycle")
        if unknown_word(cycle) is not None:
            return
        before = self._tables.cycles[cycle.id]
        same_version(cycle, before)
        stored = stored_row("dca_cycles", replace(cycle, version=cycle.version + 1))
        check_cycle(stored)
        self._put_cycle(stored)

    def insert_attempt(self, order_id: int, attempt: int, sent_at: datetime) -> None:
        self._statement("insert_attempt")
        if (order_id, attempt) in self._tables.attempts:
            raise LostRace(f"attempt {attempt} of order {order_id} is written")
        self._set(self._tables.attempts, (order_id, attempt), (sent_at, None))

    def answer_attempt(self, order_id: int, attempt: int, answer: str) -> None:
        self._statement("answer_attempt")
        sent_at, known = self._tables.attempts[order_id, attempt]
        if known is None:
            self._set(self._tables.attempts, (order_id, attempt), (sent_at, answer))

    def expire_attempts(self, order_id: int, sent_before: datetime) -> None:
        self._statement("expire_attempts")
        for key, (sent_at, answer) in list(self._attempts(order_id)):
            if answer is None and sent_at < sent_before:
                self._set(self._tables.attempts, key, (sent_at, "expired"))

    def set_last_sell_price(self, asset_id: int, price: Decimal | None) -> None:
        self._statement("set_last_sell_price")
        self.edit_asset(asset_id, {"last_sell_price": price})

    def lock_asset(self, asset_id: int, reason: str, now: datetime, kind: LockKind = LockKind.BREAK) -> bool:
        self._statement("lock_asset")
        if self._tables.assets[asset_id].lock_reason is not None:
            return False
        self.edit_asset(asset_id, {"lock_reason": reason[:500], "lock_kind": kind, "locked_at": now})
        return True

    def unlock_asset(self, asset_id: int) -> bool:
        self._statement("unlock_asset")
        if self._tables.assets[asset_id].lock_reason is None:
            return False
        self.edit_asset(asset_id, {"lock_reason": None, "lock_kind": None, "locked_at": None})
        return True

    def next_epoch(self, account_id: str, made_at: datetime | None = None) -> Control:
        self._statement("next_epoch")
        control = self._tables.control
        bound = control.account_id or account_id
        self._tables.control = replace(
            control,
            epoch=control.epoch + 1,
            account_id=bound,
            account_made_at=control.account_made_at or made_at,
        )
        return self._tables.control

    def owner(self) -> Owner | None:
        self._statement("owner")
        return self._tables.owner

    def set_owner(self, name: str, now: datetime) -> None:
        self._statement("set_owner")
        self._tables.owner = Owner(name=name, seen_at=now)

    def owner_lives(self, name: str, now: datetime) -> None:
        self._statement("owner_lives")
        if self._tables.owner is not None and self._tables.owner.name == name:
            self._tables.owner = Owner(name=name, seen_at=now)

    def set_mode(self, mode: Mode, reason: str) -> None:
        self._statement("set_mode")
        self._tables.control = replace(self._tables.control, mode=mode, mode_reason=reason[:300])

    def set_fee_rate(self, rate: Decimal) -> None:
        self._statement("set_fee_rate")
        self._tables.control = replace(self._tables.control, fee_rate=rate)

    # ---- what a person writes with a MySQL client -----------------------------------------------------

    def insert_asset(self, values: Mapping[str, Any]) -> int:
        number = self._tables.next_id("dca_assets")
        self._set(self._tables.assets, number, Asset(id=number, **values))
        return number

    def edit_asset(self, asset_id: int, values: Mapping[str, Any]) -> None:
        if "lock_reason" in values:  # beside other words the rest of a lock means nothing
            values = {"lock_kind": None, "locked_at": None, **values}
        stored = stored_row("dca_assets", replace(self._tables.assets[asset_id], **values))
        self._set(self._tables.assets, asset_id, stored)
        self.changed.add(("asset", asset_id))

    def edit_cycle(self, cycle_id: int, values: Mapping[str, Any]) -> None:
        """A person's UPDATE: it leaves the version alone."""
        stored = stored_row("dca_cycles", replace(self._tables.cycles[cycle_id], **values))
        check_cycle(stored)
        self._put_cycle(stored)
