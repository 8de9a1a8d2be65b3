"""The exchange account as the test sees and touches it, and what on it is whose."""

import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from dca.core import ledger
from dca.core.errors import Unavailable
from dca.core.model import (
    ZERO,
    Accepted,
    DefiniteReject,
    Order,
    Position,
    Quote,
    Side,
    Snapshot,
    TradingRules,
    Unknown,
    plain,
    round_down,
)
from dca.exchange.rest_client import Broker
from dca.runtime.clock import SystemClock
from integration import books
from integration.database import INSTALLATION
from integration.problems import Failed

OURS = "itest-"
"""How the client order ids begin that the test itself sends."""
UNDER_TEST = ledger.id_prefix(INSTALLATION).removesuffix("-")
"""How those of a bot under test begin, in this run or an earlier one."""
_END_SECONDS = 60.0
_BOTS = re.compile(r"dca-[0-9a-f]{8}-")


@dataclass(frozen=True, slots=True, kw_only=True)
class InTheWay:
    """What others have on the pairs of the test."""

    orders: tuple[Snapshot, ...]
    positions: tuple[Position, ...]

    def lines(self) -> list[str]:
        found = [
            f"open order {each.client_order_id}: {each.side} {each.symbol} "
            f"{plain(each.qty or ZERO)} at {plain(each.limit_price) if each.limit_price else 'market'}"
            for each in self.orders
        ]
        return found + [f"position {each.symbol}: {plain(each.qty)}" for each in self.positions]


@dataclass(slots=True)
class Account:
    """One HTTP session. `install_id` marks the bot's orders; `poll_seconds`: how often something is asked
    for that is waited for (Alpaca takes 200 requests a minute)."""

    broker: Broker
    clock: SystemClock
    install_id: str
    rules: dict[str, TradingRules]
    started_at: datetime
    poll_seconds: float
    dust: dict[str, Decimal] = field(default_factory=dict)
    """Coins by pair that were there before and are too few to be in the way."""
    _word: str = field(default_factory=lambda: secrets.token_hex(4))
    _count: int = 0

    def quote(self, symbol: str) -> Quote:
        """Raises:
        Unavailable: there is none.
        """
        found = self.broker.latest_quotes([symbol], self.clock.now()).get(symbol)
        if found is None:
            raise Failed(f"the exchange has no quote of {symbol}")
        return found

    def orphan_id(self) -> str:
        """An id that looks like the bot's and is in no ledger."""
        return f"{ledger.id_prefix(self.install_id)}{self._word}-{self._next()}-b"

    def own_id(self) -> str:
        return f"{OURS}{self._word}-{self._next()}"

    def _next(self) -> int:
        self._count += 1
        return self._count

    def send(self, order: Order) -> Snapshot:
        """Send an order, as a person or a crashed bot would.

        Raises:
            Failed: the exchange does not take it, or does not say.
        """
        answer = self.broker.submit(order)
        match answer:
            case Accepted(snapshot=snapshot):
                return snapshot
            case DefiniteReject(code=code, message=message):
                raise Failed(f"the exchange refused {order.client_order_id}: {code} {message}")
            case Unknown(reason=reason):
                raise Failed(f"no answer about {order.client_order_id}: {reason}")
        raise Failed(f"{order.client_order_id} is in use already")

    def outside(self, client_order_id: str, symbol: str, side: Side, limit_price: Decimal) -> Snapshot:
        """A limit order past the bot, for the usual dollars."""
        rules = self.rules[symbol]
        limit = round_down(limit_price, rules.price_increment)
        qty = round_down(books.DOLLARS / limit, rules.qty_increment)
        return self.send(books.outside_order(client_order_id, symbol, side, qty, limit, self.clock.now()))

    def sell(self, symbol: str, most: Decimal | None = None) -> Snapshot | None:
        """Sell at market what is held, at most `most`, past the bot; None if it is too little to be sold."""
        free = self.broker.position(symbol).qty_available
        qty = round_down(min(free, most if most is not None else free), self.rules[symbol].qty_increment)
        if qty < self.rules[symbol].min_order_size:
            return None
        order = books.outside_order(self.own_id(), symbol, Side.SELL, qty, None, self.clock.now())
        return self.send(order)

    def ended(self, client_order_id: str) -> Snapshot:
        """Wait until an order has ended.

        Raises:
            Failed: it does not.
        """
        deadline = time.monotonic() + _END_SECONDS
        while time.monotonic() < deadline:
            found = self.broker.order(client_order_id)
            if found is not None and found.is_closed:
                return found
            time.sleep(self.poll_seconds)
        raise Failed(f"{client_order_id} has not ended within {_END_SECONDS:.0f} s")

    def is_own(self, client_order_id: str) -> bool:
        """Whether the bot under test or the test itself sent it."""
        return client_order_id.startswith((UNDER_TEST, OURS))

    def of_other_bots(self, since: datetime) -> list[Snapshot]:
        """Orders, open or sent since then, of an installation of this bot that is no test's."""
        found = [*self.broker.open_orders(), *self.broker.closed_orders(since)]
        return [each for each in found if _BOTS.match(each.client_order_id)]

    def note_dust(self, symbols: Iterable[str]) -> None:
        held = self.broker.positions()
        for symbol in symbols:
            position = held.get(symbol.replace("/", ""))
            self.dust[symbol] = ZERO if position is None else position.qty

    def in_the_way(self, symbols: Iterable[str]) -> InTheWay:
        wanted = {symbol.replace("/", ""): symbol for symbol in symbols}
        held = self.broker.positions()
        return InTheWay(
            orders=tuple(
                each
                for each in self.broker.open_orders()
                if each.symbol.replace("/", "") in wanted and not self.is_own(each.client_order_id)
            ),
            positions=tuple(
                Position(symbol=symbol, qty=held[key].qty, qty_available=held[key].qty_available)
                for key, symbol in wanted.items()
                if key in held and held[key].qty >= self.rules[symbol].min_order_size
            ),
        )

    def cancel(self, orders: Iterable[Snapshot], tell: Callable[[str], None]) -> None:
        for each in orders:
            self.broker.cancel(each.exchange_order_id)
            tell(f"canceled {each.client_order_id}: {self.ended(each.client_order_id).status}")

    def clean_up(self, symbols: Iterable[str], tell: Callable[[str], None]) -> list[str]:
        """Cancel what is open of ours, and sell what our orders since the start have left of each pair;
        returns what could not be done."""
        problems = []
        try:
            self.cancel([o for o in self.broker.open_orders() if self.is_own(o.client_order_id)], tell)
        except (Failed, Unavailable) as error:
            problems.append(f"open orders: {error}")
        for symbol in symbols:
            try:
                self._sell_own(symbol, tell)
            except (Failed, Unavailable) as error:
                problems.append(f"{symbol}: {error}")
        return problems

    def _sell_own(self, symbol: str, tell: Callable[[str], None]) -> None:
        """Never more than our own orders bought: what a person bought meanwhile is theirs."""
        since = self.started_at - timedelta(minutes=1)
        mine = [
            each
            for each in self.broker.closed_orders(since)
            if each.symbol.replace("/", "") == symbol.replace("/", "") and self.is_own(each.client_order_id)
        ]
        bought = sum((each.filled_qty if each.side == Side.BUY else -each.filled_qty for each in mine), ZERO)
        sold = self.sell(symbol, bought) if bought > 0 else None
        if sold is not None:
            end = self.ended(sold.client_order_id)
            tell(f"sold {plain(end.filled_qty)} {symbol} at {plain(end.filled_avg_price or ZERO)}")
        left = self.broker.position(symbol).qty - self.dust.get(symbol, ZERO)
        if left > 0:
            tell(f"{plain(left)} {symbol} stay on the account: too few to be sold")
