"""Faults on request, by name: what can go wrong between a client and the exchange. Pure."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

NAMES = frozenset(
    {
        # an order on its way to us
        *("post.accept_then_drop", "post.drop_before", "post.delay", "post.status", "post.body", "reject"),
        # reading
        *("get.not_found_for", "get.stale", "get.error", "positions.lag", "page_limit", "rate_limit"),
        # the stream of order updates
        *("ws.event_before_reply", "ws.drop", "ws.dup", "ws.reorder", "ws.mute", "ws.close"),
        *("ws.half_open", "ws.refuse"),
        # the stream of quotes
        *("md.book_gap", "md.book_stale", "md.book_crossed", "md.book_empty", "md.book_nan", "md.book_reset"),
        *("md.mute", "md.backlog", "md.bad_quote", "md.half_open", "md.close"),
        # how much stands in the book
        "book.thin",
        # fills, fees, cancellations
        *("fill.partial", "fill.none", "fill.on_cancel", "fill.after_terminal", "cancel.stuck"),
        *("fee.immediate", "fee.deferred"),
        # the account and its pairs
        *("asset.halt", "asset.delist", "account.block", "account.revoke"),
    }
)
"""The head of docs' fault catalogue; paper_exchange/README.md says what each takes."""


@dataclass(slots=True)
class Fault:
    id: int
    name: str
    count: int
    args: dict[str, Any] = field(default_factory=dict)
    symbol: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "count": self.count,
            "args": self.args,
            "symbol": self.symbol,
        }


class Faults:
    """Those that wait to happen. Each fires as often as it was asked to, then is gone."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._next_id = 1

    def add(self, name: str, count: int, args: dict[str, Any], symbol: str | None) -> int:
        """Raises ValueError for a name that is none."""
        if name not in NAMES:
            raise ValueError(f"no such fault: {name}; there are: {', '.join(sorted(NAMES))}")
        fault = Fault(id=self._next_id, name=name, count=count, args=args, symbol=symbol)
        self._next_id += 1
        self._waiting.append(fault)
        return fault.id

    def remove(self, fault_id: int) -> None:
        """Take one back that has not happened as often as it was to."""
        self._waiting = [fault for fault in self._waiting if fault.id != fault_id]

    def clear(self) -> None:
        self._waiting.clear()

    def waiting(self) -> list[dict[str, Any]]:
        return [fault.as_json() for fault in self._waiting]

    def peek(self, name: str, symbol: str | None = None) -> Fault | None:
        for fault in self._waiting:
            if fault.name == name and fault.symbol in (None, symbol):
                return fault
        return None

    def thinness(self, symbol: str) -> Decimal:
        """How much of the usual size stands in the book of a pair, in percent."""
        thin = self.peek("book.thin", symbol)
        return Decimal(100) if thin is None else Decimal(str(thin.args.get("percent", 10)))

    def take(self, name: str, symbol: str | None = None) -> Fault | None:
        """The next fault of that name, used up by one."""
        fault = self.peek(name, symbol)
        if fault is not None:
            fault.count -= 1
            if fault.count <= 0:
                self._waiting.remove(fault)
        return fault
