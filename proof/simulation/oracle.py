"""Class S: what has to hold in every committed state and at every request, judged by the exchange's truth.

It shares no code with the bot: the sums are made anew here, from the rows and from the engine's orders.
The numbers are those of docs/faults.md.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal

from dca.core.model import GIVEN_UP_STATES, Cycle, CycleStatus, Mode, Order, OrderState, Purpose, Side
from paper_exchange.engine import Engine
from paper_exchange.values import Order as EngineOrder
from proof.simulation.hub import Hub, Process
from proof.simulation.tables import INSTALL_ID, Key, Tables

PREFIX = f"dca-{INSTALL_ID}-"
ZERO = Decimal(0)
STEP = Decimal("1e-9")
NEAR = Decimal("1e-9")
CENT = Decimal("0.01")
HIGHEST_FEE = Decimal("0.0025")
OLDEST_QUOTE_MS = 15_000
LEAST_BASE = Decimal(12)
"""A base order of which too little was filled is topped up by the smallest buy there is, up to this."""
RECENTLY_SECONDS = 40.0
"""An order that was claimed on a good quote may arrive late: it is sent within 5 s, and sat on the way."""
LIVE = frozenset({OrderState.SENT, OrderState.ACKED, OrderState.CANCEL_REQUESTED})
ENDED = frozenset({OrderState.DONE, OrderState.REJECTED, OrderState.VOID, OrderState.GHOST})
OVER = frozenset({CycleStatus.COMPLETE, CycleStatus.ERROR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that did not hold, at a second of the simulation."""

    number: str
    text: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.number} at {self.seconds:.3f} s: {self.text}"


class Oracle:
    """Hears every commit (stores.Listener) and every request (exchange.Witness)."""

    def __init__(self, hub: Hub, engine: Engine) -> None:
        self._hub = hub
        self._engine = engine
        self.violations: list[Violation] = []
        self.edited: set[int] = set()
        """Cycles that a person wrote into: their derived columns are wrong until the bot writes them."""
        self.tables = Tables()
        self._seen: dict[int, Order] = {}
        self._epoch = 0
        self._quotes: dict[str, deque[tuple[float, Decimal, Decimal]]] = defaultdict(lambda: deque(maxlen=30))
        self._cooling: set[int] = set()
        self.cooldown_ends: list[dict[str, str]] = []
        """As demo's audit wants them."""

    def broken(self, number: str, text: str) -> None:
        self.violations.append(Violation(number=number, text=text, seconds=self._hub.seconds))

    # ---- the database -----------------------------------------------------------------------------------

    def committed(self, process: Process | None, changed: set[Key], tables: Tables) -> None:
        self.tables = tables
        cycles: set[int] = set()
        for kind, key in sorted(changed, key=str):
            number = int(str(key))
            if kind == "order":
                order = tables.orders[number]
                self._check_order(order, tables)
                cycles.add(order.cycle_id)
            elif kind == "cycle":
                cycles.add(number)
                self._note_cooldown(tables.cycles[number], tables)
                if process is None:
                    self.edited.add(number)
        for number in sorted(cycles):
            self._check_cycle(tables.cycles[number], tables)

    def _note_cooldown(self, cycle: Cycle, tables: Tables) -> None:
        """Which asks there were when a cooldown ended."""
        if cycle.status is CycleStatus.COOLDOWN:
            self._cooling.add(cycle.id)
        elif cycle.id in self._cooling:
            self._cooling.discard(cycle.id)
            quotes = self._quotes[tables.assets[cycle.asset_id].asset_symbol]
            asks = [ask for at, _, ask in quotes if at > self._hub.seconds - RECENTLY_SECONDS]
            self.cooldown_ends.append({"cycle_id": str(cycle.id), "ask": str(min(asks, default=ZERO))})

    def _check_order(self, order: Order, tables: Tables) -> None:
        before = self._seen.get(order.id)
        if before is None:
            self._check_claim(order, tables)
        elif order.filled_qty < before.filled_qty or order.version <= before.version:
            self.broken("I18", f"{order.client_order_id} went back from {before} to {order}")
        elif before.state in ENDED and order.state not in {before.state, OrderState.GHOST}:
            self.broken("I18", f"{order.client_order_id} was {before.state} and is {order.state}")
        self._seen[order.id] = order
        theirs = self._engine.by_client_id.get(order.client_order_id)
        if theirs is not None and order.state in GIVEN_UP_STATES:
            self.broken("I30", f"{order.client_order_id} is {order.state}, and the exchange had taken it")
        filled = ZERO if theirs is None else theirs.filled_qty
        if order.filled_qty > filled:
            self.broken(
                "I05",
                f"{order.client_order_id}: ledger {order.filled_qty}, exchange {filled}",
            )

    def _check_claim(self, order: Order, tables: Tables) -> None:
        """A new row: it may become an order, so all that has to be true of one has to be true now."""
        name, mode, asset = order.client_order_id, tables.control.mode, tables.assets[order.asset_id]
        if mode is Mode.HALT or (mode is Mode.EXITS_ONLY and order.side is Side.BUY):
            self.broken("I15", f"{name} was claimed in mode {mode}")
        if asset.lock_reason is not None or (order.side is Side.BUY and not asset.is_enabled):
            self.broken("I16", f"{name} was claimed of a locked or disabled asset")
        if not 0 <= order.quote_age_ms <= OLDEST_QUOTE_MS:
            self.broken("I16", f"{name} was decided on a quote {order.quote_age_ms} ms old")
        if order.limit_price is not None and order.limit_price > order.quote_price:
            self.broken("I17", f"{name}: limit {order.limit_price} above the ask {order.quote_price}")
        if order.trigger_price is not None and not _triggered(order):
            self.broken("I17", f"{name} was decided at {order.quote_price}, trigger {order.trigger_price}")
        if order.epoch < self._epoch:
            self.broken("I22", f"{name} was claimed by start {order.epoch} after start {self._epoch}")
        self._epoch = max(self._epoch, order.epoch)

    def _check_cycle(self, cycle: Cycle, tables: Tables) -> None:
        if (cycle.problem or "").startswith("order-rate fuse"):
            self.broken("F54", f"cycle {cycle.id} is held back although nothing is wrong: {cycle.problem}")
        if cycle.status is CycleStatus.ERROR:  # coins leave this exchange by sales only, and those are known
            self.broken("I09", f"cycle {cycle.id} ended as error: {cycle.problem}")
        orders = [tables.orders[key] for key in tables.of_cycle.get(cycle.id, ())]
        wrong = [*_sums(cycle, orders), *_status(cycle, orders)]
        if cycle.id in self.edited:
            if not wrong:
                self.edited.discard(cycle.id)
            return
        for number, text in [*wrong, *_limits(orders)]:
            self.broken(number, f"cycle {cycle.id}: {text}")

    # ---- the exchange -----------------------------------------------------------------------------------

    def posting(self, process: Process, order: Order) -> None:  # noqa: ARG002
        """Before a request for an order leaves: it is written down, to the letter."""
        number = self.tables.by_client_id.get(order.client_order_id)
        if number is None:
            self.broken("I04", f"{order.client_order_id} is sent and was never committed")
            return
        row = self.tables.orders[number]
        if (row.qty, row.limit_price, row.side) != (order.qty, order.limit_price, order.side):
            self.broken("I04", f"{order.client_order_id} is sent otherwise than it was committed")

    def accepted(self, order: EngineOrder) -> None:
        """The exchange took an order of ours."""
        if order.client_order_id not in self.tables.by_client_id:
            self.broken("I04", f"{order.client_order_id} arrived and is not in the ledger")
        mine = [each for each in self._engine.open_orders(order.symbol) if not each.manual]
        if len(mine) > 1:
            names = ", ".join(each.client_order_id for each in mine)
            self.broken("I02", f"{order.symbol} has {len(mine)} open orders: {names}")
        if order.side == "sell":
            self._check_sell(order)
            self._check_price(order)
            self._check_limit(order)

    def _check_sell(self, order: EngineOrder) -> None:
        """A cycle never offers more than it bought net of the true fees, less what it sold."""
        cycle = order.client_order_id.removeprefix(PREFIX).split("-")[0]
        prefix = f"{PREFIX}{cycle}-"
        fills = [each for each in self._engine.executions if each.client_order_id.startswith(prefix)]
        held = sum((e.qty - e.fee_qty if e.side == "buy" else -e.qty for e in fills), ZERO)
        if order.remaining > held + STEP * (len(fills) + 1):
            self.broken("I08", f"{order.client_order_id} offers {order.remaining}, its cycle holds {held}")

    def _check_limit(self, order: EngineOrder) -> None:
        """A take-profit with a limit loses nothing, even if all of it is sold there: fees and all, to a cent
        for each fill. What a person bought or sold of the cycle is not judged."""
        row = self.tables.orders.get(self.tables.by_client_id.get(order.client_order_id, 0))
        if row is None or row.limit_price is None:
            return
        rows = [self.tables.orders[each] for each in self.tables.of_cycle.get(row.cycle_id, ())]
        if any(each.purpose in {Purpose.ADOPTED, Purpose.OUTSIDE} for each in rows):
            return
        prefix = f"{PREFIX}{row.cycle_id}-"
        fills = [each for each in self._engine.executions if each.client_order_id.startswith(prefix)]
        money = sum((e.qty * e.price * (-1 if e.side == "buy" else 1) - e.fee_usd for e in fills), ZERO)
        held = sum((e.qty - e.fee_qty if e.side == "buy" else -e.qty for e in fills), ZERO)
        result = money + held * row.limit_price * (1 - HIGHEST_FEE)
        if result < -CENT * (len(fills) + 1):
            text = f"{order.client_order_id} may sell at {row.limit_price}: {-result} dollars are lost"
            self.broken("I33", text)

    def _check_price(self, order: EngineOrder) -> None:
        """A take-profit is sent at a bid that was there, at the exchange, a moment ago."""
        row = self.tables.orders.get(self.tables.by_client_id.get(order.client_order_id, 0))
        if row is None or row.trigger_price is None:
            return
        recent = self._quotes[order.symbol]
        bids = [bid for at, bid, _ in recent if at > self._hub.seconds - RECENTLY_SECONDS]
        if max(bids) < row.trigger_price:
            text = f"{order.client_order_id} sells for {row.trigger_price}, the best bid was {max(bids)}"
            self.broken("I17", text)

    def quoted(self, symbol: str, bid: Decimal, ask: Decimal) -> None:
        """The exchange's true prices."""
        self._quotes[symbol].append((self._hub.seconds, bid, ask))

    def canceling(self, process: Process, order_id: str) -> None:
        order = self._engine.orders.get(order_id)
        if order is None or order.manual or not order.client_order_id.startswith(PREFIX):
            self.broken("I26", f"{process.name} cancels {order_id}, which is not ours")


def _triggered(order: Order) -> bool:
    assert order.trigger_price is not None
    if order.side is Side.BUY:
        return order.quote_price <= order.trigger_price
    return order.quote_price >= order.trigger_price


def _sums(cycle: Cycle, orders: list[Order]) -> list[tuple[str, str]]:
    """I07: the row is what its orders add up to."""
    buys = [each for each in orders if each.side is Side.BUY]
    bought = sum((each.filled_qty for each in buys), ZERO)
    cost = sum((each.filled_value for each in buys), ZERO)
    fee = sum((each.fee_qty for each in buys), ZERO)
    sold = sum((each.filled_qty for each in orders if each.side is Side.SELL), ZERO)
    held = max(bought - fee - sold, ZERO)
    safeties = sum(each.purpose == "safety" and each.filled_qty > 0 for each in buys)
    wrong = []
    for name, stored, true in (
        ("quantity", cycle.quantity, held),
        ("bought_qty", cycle.bought_qty, bought),
        ("bought_cost", cycle.bought_cost, cost),
        ("sold_qty", cycle.sold_qty, sold),
        ("safety_orders", Decimal(cycle.safety_orders), Decimal(safeties)),
    ):
        if stored != true:
            wrong.append(("I07", f"{name} is {stored}, its orders make {true}"))
    if bought and abs(cycle.average_purchase_price - cost / bought) > cost / bought * NEAR + STEP:
        wrong.append(("I07", f"average is {cycle.average_purchase_price}, its orders make {cost / bought}"))
    return wrong


def _status(cycle: Cycle, orders: list[Order]) -> list[tuple[str, str]]:
    """I01 and I14: the status says what the orders say."""
    live = [str(each.side) for each in orders if each.state in LIVE]
    wanted = {"buying": ["buy"], "selling": ["sell"]}.get(str(cycle.status), [])
    wrong = []
    if len(live) > 1:
        wrong.append(("I01", f"{len(live)} live orders"))
    if live != wanted:
        wrong.append(("I14", f"is {cycle.status} and has the live orders {live}"))
    if (cycle.status in OVER) != (cycle.completed_at is not None):
        wrong.append(("I14", f"is {cycle.status}, completed_at is {cycle.completed_at}"))
    return wrong


def _limits(orders: list[Order]) -> list[tuple[str, str]]:
    """I11 and I12: budget and levels, by the parameters as they stood at each claim."""
    wrong, spent, safeties = [], ZERO, 0
    base = ZERO
    amounts: dict[int, Decimal] = {}
    levels: set[int] = set()
    for order in orders:
        if order.side is not Side.BUY or order.purpose == "adopted":
            continue
        open_qty = order.qty - order.filled_qty if order.state in LIVE else ZERO
        spent += order.filled_value + open_qty * (order.limit_price or ZERO)
        # What was bought before the operator lowered an amount was within reason when it was bought.
        base = max(base, order.base_order_amount, LEAST_BASE)
        if order.purpose == "safety":
            amounts[order.level] = max(amounts.get(order.level, ZERO), order.safety_order_amount)
        allowed = base + sum(amounts.values(), ZERO)
        if spent > allowed * Decimal("1.01"):
            wrong.append(("I11", f"{spent} dollars with {order.client_order_id}, allowed {allowed}"))
        if order.purpose == "safety" and order.filled_qty > 0:
            safeties += 1
            if order.level in levels or safeties > order.max_safety_orders:
                wrong.append(("I12", f"{order.client_order_id} fills level {order.level} once more"))
            levels.add(order.level)
    return wrong
