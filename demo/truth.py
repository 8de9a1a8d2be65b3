"""What the exchange's journal says, sorted by order: the side that is believed in an audit."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from demo.rows import ZERO, Books, Row, num, when

CLOSED = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})
LIVE_STATES = frozenset({"sent", "acked", "cancel_requested"})
FEE_STEP = Decimal("1e-9")
CENT = Decimal("0.01")
TAKER_FEE = Decimal("0.0025")


class Truth:
    """The journal and the ledger, indexed. An order is ours if it carries this installation's prefix, or is
    in its ledger."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.install_id = str(books.control[0]["install_id"]) if books.control else ""
        self.prefix = f"dca-{self.install_id}-" if self.install_id else "dca-"
        self.ledger: dict[str, Row] = {str(row["client_order_id"]): row for row in books.orders}
        self.orders: dict[str, Row] = {}  # by the exchange's id, as last seen
        self.manual: set[str] = set()
        self.executions: dict[str, list[Row]] = defaultdict(list)
        for entry in self.entries("order"):
            order_id = str(entry["order"]["id"])
            self.orders[order_id] = entry["order"]
            if entry.get("manual"):
                self.manual.add(order_id)
        for entry in self.entries("execution"):
            self.executions[str(entry["order_id"])].append(entry)

    def entries(self, kind: str) -> Iterator[Row]:
        return (entry for entry in self.books.journal if entry["kind"] == kind)

    def is_ours(self, client_order_id: object) -> bool:
        name = str(client_order_id or "")
        return name.startswith(self.prefix) or name in self.ledger

    @cached_property
    def our_orders(self) -> list[Row]:
        """The exchange's orders that are the bot's, in the order of their making."""
        found = [row for key, row in self.orders.items() if key not in self.manual]
        return [row for row in found if self.is_ours(row["client_order_id"])]

    @cached_property
    def first_seen(self) -> dict[str, datetime]:
        """When the exchange first got a POST with a client order id."""
        seen: dict[str, datetime] = {}
        for entry in self.posts:
            at = when(entry, "at")
            assert at is not None, "every entry has its time"
            seen.setdefault(str(entry["client_order_id"]), at)
        return seen

    @cached_property
    def posts(self) -> list[Row]:
        """Requests to make one of our orders."""
        found = (entry for entry in self.entries("request") if entry["method"] == "POST")
        return [entry for entry in found if self.is_ours(entry.get("client_order_id"))]

    @cached_property
    def _by_client_id(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for order in self.our_orders:
            found[str(order["client_order_id"])].append(order)
        return found

    def of_ledger(self, row: Row) -> list[Row]:
        """The exchange's orders with a ledger row's client order id."""
        return self._by_client_id.get(str(row["client_order_id"]), [])

    def fills(self, row: Row) -> list[Row]:
        """The executions of a ledger row's order, as the exchange made them."""
        return [each for order in self.of_ledger(row) for each in self.executions[str(order["id"])]]

    def cycle_of(self, client_order_id: object) -> object:
        """The cycle an order belongs to: by the ledger, else by its id."""
        row = self.ledger.get(str(client_order_id))
        if row is not None:
            return int(row["cycle_id"])
        return str(client_order_id).rsplit("-", 2)[0]

    def ledger_of_cycle(self, cycle: Row) -> list[Row]:
        rows = [row for row in self.books.orders if int(row["cycle_id"]) == int(cycle["id"])]
        return sorted(rows, key=lambda row: int(row["seq"]))

    def asset_of(self, row: Row) -> Row:
        """The asset of a cycle or an order."""
        return next(asset for asset in self.books.assets if int(asset["id"]) == int(row["asset_id"]))

    def our_executions(self, symbol: str | None = None) -> list[Row]:
        """All executions of our orders, in the order in which they happened."""
        ours = {str(order["id"]) for order in self.our_orders}
        found = [each for each in self.entries("execution") if str(each["order_id"]) in ours]
        return [each for each in found if symbol is None or each["symbol"] == symbol]

    def symbols(self) -> list[str]:
        return [str(asset["asset_symbol"]) for asset in self.books.assets]


def coins(execution: Row) -> Decimal:
    """What an execution does to the position: coins in, net of their fee; or coins out."""
    if execution["side"] == "buy":
        return num(execution, "qty") - num(execution, "fee_qty")
    return -num(execution, "qty")


def dollars(execution: Row) -> Decimal:
    """What an execution does to the cash."""
    value = num(execution, "qty") * num(execution, "price")
    return -value if execution["side"] == "buy" else value - num(execution, "fee_usd")


def gross(executions: list[Row]) -> tuple[Decimal, Decimal]:
    """Coins and dollars of some executions, before fees."""
    qty = sum((num(each, "qty") for each in executions), ZERO)
    value = sum((num(each, "qty") * num(each, "price") for each in executions), ZERO)
    return qty, value


def plain(value: Decimal) -> str:
    """A number as people write it: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"
