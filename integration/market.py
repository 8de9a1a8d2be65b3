"""How a rule is brought to act: by moving the local market, or by moving the rows against the real one."""

from decimal import Decimal
from typing import Protocol

from dca.core.model import HUNDRED, CycleStatus, Order, Purpose, plain, round_down
from integration.books import PERCENT
from integration.local_exchange import LocalExchange
from integration.problems import NotHere
from integration.world import World, price

BEYOND = Decimal("0.004")
"""How far the local price stops short of the level, and goes past it; the spread is a tenth of that."""
NOTHING_SECONDS = 0.8
"""The bot acts on a quote within hundredths of a second, and there are four quotes in every one."""
AWAY = Decimal("1.12")
"""How far the rows are moved from the real price: well past the five percent of the rules."""
PART_DOLLARS = Decimal("0.3")
"""One part of a fill: an order of eleven dollars takes nine seconds, at four parts a second."""
RESTING = Decimal("0.6")
"""A limit at this part of the price fills in no market that trades on; Alpaca takes it."""


class Market(Protocol):
    """What a scenario may wish."""

    def reach_safety_order(self, world: World, symbol: str) -> None: ...

    def reach_take_profit(self, world: World, symbol: str) -> None: ...

    def reach_early_restart(self, world: World, symbol: str) -> None: ...

    def resting_buy(self, world: World, symbol: str) -> Order:
        """An open buy of the bot's, booked as such by main_app, whose cycle is buying."""
        ...

    def fill_partly(self, world: World, symbol: str) -> None:
        """The next buy of the pair is filled in small parts, one after the other."""
        ...

    def fill_no_more(self, world: World, symbol: str) -> None:
        """What is open of the pair stays as it is."""
        ...


class MovableMarket:
    """The local exchange: prices go where the rule waits."""

    def __init__(self, exchange: LocalExchange) -> None:
        self._exchange = exchange

    def _go(self, world: World, symbol: str, level: Decimal, down: int, what: str) -> None:
        """Just short of the level first, where nothing may happen; then past it. `down`: 1, or -1 for up."""
        before = _where(world, symbol)
        short, past = level * (1 + down * BEYOND), level * (1 - down * BEYOND)
        world.does(f"moves {symbol} from {price(world.account.quote(symbol).ask)} to {price(short)}")
        self._exchange.price(symbol, short)
        world.pause(NOTHING_SECONDS)
        now = _where(world, symbol)
        seen = "nothing" if now == before else f"{now[2]} orders, cycle {now[0]} {now[1]}"
        world.check("nothing yet", now == before, f"{seen}: {what} waits at {price(level)}")
        world.does(f"moves it to {price(past)}")
        self._exchange.price(symbol, past)

    def reach_safety_order(self, world: World, symbol: str) -> None:
        last = world.live(symbol).last_order_fill_price
        assert last is not None, "it holds something"
        self._go(world, symbol, last * (1 - PERCENT / HUNDRED), 1, "the safety order")

    def reach_take_profit(self, world: World, symbol: str) -> None:
        level = world.live(symbol).average_purchase_price * (1 + PERCENT / HUNDRED)
        self._go(world, symbol, level, -1, "the take-profit")

    def reach_early_restart(self, world: World, symbol: str) -> None:
        asset = world.books.asset(symbol)
        assert asset is not None and asset.last_sell_price is not None, "it was written before"
        level = asset.last_sell_price * (1 - PERCENT / HUNDRED)
        self._go(world, symbol, level, 1, "the end of the cooldown")

    def resting_buy(self, world: World, symbol: str) -> Order:
        world.does(f"lets nothing of {symbol} fill, and the bot buy")
        self._exchange.fault("fill.none", symbol)
        world.books.new_asset(symbol)
        world.wait(f"a base order of {symbol}", lambda: _placed(world, symbol))
        order = world.newest(symbol, Purpose.BASE)
        assert order is not None, "it was seen"
        return world.acknowledged(order)

    def fill_partly(self, world: World, symbol: str) -> None:
        step = world.account.rules[symbol].qty_increment
        part = round_down(PART_DOLLARS / world.account.quote(symbol).ask, step)
        world.does(f"lets {symbol} fill by {plain(part)} at a time")
        self._exchange.fault("fill.partial", symbol, count=1000, n=plain(part))

    def fill_no_more(self, world: World, symbol: str) -> None:
        world.does(f"lets nothing of {symbol} fill any more")
        self._exchange.fault("fill.none", symbol)


class RealMarket:
    """The account of .env: prices stay where they are, the test's own rows are moved."""

    def reach_safety_order(self, world: World, symbol: str) -> None:
        self._move_fills(world, symbol, world.account.quote(symbol).ask * AWAY, "above")

    def reach_take_profit(self, world: World, symbol: str) -> None:
        self._move_fills(world, symbol, world.account.quote(symbol).bid / AWAY, "below")

    def _move_fills(self, world: World, symbol: str, to: Decimal, side: str) -> None:
        cycle = world.live(symbol)
        world.fees_are_known(cycle)
        value = to.quantize(Decimal("1e-9"))
        world.does(
            f"writes into its own ledger that {symbol} was bought at {price(value)}, {side} the market"
        )
        world.books.move_fills(cycle.id, value)

    def reach_early_restart(self, world: World, symbol: str) -> None:
        value = (world.account.quote(symbol).ask * AWAY).quantize(Decimal("1e-9"))
        world.does(f"writes {price(value)} as the last sale of {symbol}, above the market")
        world.books.set_last_sell_price(symbol, value)

    def resting_buy(self, world: World, symbol: str) -> Order:
        limit = world.account.quote(symbol).bid * RESTING
        world.does(f"writes a base order of {symbol} at {price(limit)} into the ledger, and sends it")
        world.books.new_asset(symbol, enabled=False, status=CycleStatus.WATCHING)
        return world.acknowledged(world.claimed(symbol, limit))

    def fill_partly(self, world: World, symbol: str) -> None:  # noqa: ARG002
        raise NotHere("not on this account: nobody can make it fill an order in part")

    def fill_no_more(self, world: World, symbol: str) -> None:  # noqa: ARG002
        raise NotHere("not on this account: fills cannot be held back")


def _where(world: World, symbol: str) -> tuple[int, CycleStatus, int]:
    """What changes with whatever the bot does about a pair; fees may be corrected at any time."""
    cycle = world.live(symbol)
    return cycle.id, cycle.status, len(world.books.orders(cycle.id))


def _placed(world: World, symbol: str) -> str | None:
    order = world.newest(symbol, Purpose.BASE)
    return (
        None
        if order is None
        else f"the bot placed {order.client_order_id}, cycle {world.live(symbol).status}"
    )
