"""Scenarios 1 to 6: main_app trades."""

from decimal import Decimal

from dca.core.model import ZERO, CycleStatus, OrderState, OrderType, Purpose, Side, plain
from dca.exchange import account_checks, clock_offset
from integration.market import Market
from integration.problems import Failed
from integration.scenario import Scenario
from integration.world import World, price

STORY = "BTC/USD"
PARTIAL, CANCELED = "AAVE/USD", "LINK/USD"
_CENTS = Decimal("0.05")
ENOUGH = Decimal("0.15")
"""A part of $11 that is above the smallest order of about $1, so that it can be sold again."""


def connection(world: World, _market: Market) -> None:
    account = account_checks.read_account(world.account.broker, world.settings.exchange)
    account_checks.check_account(account)
    world.saw(
        f"account {account.id[:8]}.. is {account.status}, crypto {account.crypto_status}, buying power "
        f"{plain(account.non_marginable_buying_power)} dollars"
    )
    account_checks.check_clock(clock_offset.read(world.account.broker, world.clock))
    before = world.books.control()
    if world.books.asset(STORY) is None:
        # Quotes are asked for where there is a cycle; nothing is bought while it is disabled.
        world.books.new_asset(STORY, enabled=False, status=CycleStatus.WATCHING)
    if world.scripts.main_app_runs():
        world.scripts.stop_main_app()
    world.ensure_trading()

    def quoted() -> str | None:
        beat = world.scripts.beat()
        if beat is None or beat.last_quote_at is None:
            return None
        age = (world.clock.now() - beat.last_quote_at).total_seconds()
        quote = world.account.quote(STORY)
        return f"a quote {age:.1f} s old; {STORY} bid {price(quote.bid)} ask {price(quote.ask)}"

    world.wait("a quote", quoted)
    control = world.books.control()
    world.check(
        f"this start counted as {before.epoch + 1}, the database tied to the account",
        control.epoch == before.epoch + 1 and control.account_id == account.id,
        f"epoch {control.epoch}, the database belongs to account {(control.account_id or 'none')[:8]}..",
    )


def base_order(world: World, _market: Market) -> None:
    world.about = STORY
    world.ensure_trading()
    world.does(f"enables {STORY}: $11, one safety order at 5 %, take-profit at 5 %")
    if world.books.asset(STORY) is None:
        world.books.new_asset(STORY)
    world.books.enable(STORY, enabled=True)
    cycle = world.bought(STORY, Purpose.BASE)
    order = world.newest(STORY, Purpose.BASE)
    assert order is not None, "it was seen"
    at_exchange = world.account.broker.order(order.client_order_id)
    if at_exchange is None:
        raise Failed(f"the exchange does not know {order.client_order_id}")
    world.check(
        "one limit order of the same size at the exchange",
        order.order_type is OrderType.LIMIT and at_exchange.qty == order.qty,
        f"the exchange has it as {at_exchange.status}, {plain(at_exchange.filled_qty)} filled",
    )
    world.check(
        "what is held to be what was filled less the fee in coin",
        cycle.quantity == order.filled_qty - order.fee_qty,
        f"{plain(order.filled_qty)} less {plain(order.fee_qty)} in fees is {plain(cycle.quantity)}",
    )
    world.compare_position(STORY)


def safety_order(world: World, market: Market) -> None:
    before = world.holding(STORY)
    if before.safety_orders:
        raise Failed(f"{STORY} has had its safety order already")
    market.reach_safety_order(world, STORY)
    cycle = world.bought(STORY, Purpose.SAFETY)
    order = world.newest(STORY, Purpose.SAFETY)
    assert order is not None, "it was seen"
    world.check(
        "the first level", order.level == 1 and cycle.safety_orders == 1, f"level {order.level} of one"
    )
    world.check(
        "the last fill's price to be this order's, the average above it",
        order.filled_avg_price is not None and cycle.average_purchase_price > order.filled_avg_price,
        f"average {price(cycle.average_purchase_price)}, this fill at "
        f"{price(order.filled_avg_price or ZERO)}",
    )
    world.compare_position(STORY)


def take_profit(world: World, market: Market) -> None:
    world.fees_are_known(world.holding(STORY))
    before = world.live(STORY)
    cash = None if world.exchange is None else world.exchange.cash()
    market.reach_take_profit(world, STORY)

    def complete() -> str | None:
        cycle = world.books.cycle(before.id)
        if cycle.status is not CycleStatus.COMPLETE:
            return None
        return (
            f"cycle {cycle.id} complete: bought for {price(cycle.bought_cost)}, sold for "
            f"{price(cycle.sold_proceeds)}, fee {plain(cycle.sell_fee)}, net {price(cycle.net_profit)}"
        )

    world.wait("the cycle to be complete", complete)
    sales = [each for each in world.books.orders(before.id) if each.side is Side.SELL]
    sale, step = sales[0], world.account.rules[STORY].qty_increment
    world.check(
        "one market sell of all that was held, filled whole",
        len(sales) == 1
        and sale.purpose is Purpose.TAKE_PROFIT
        and sale.order_type is OrderType.MARKET
        and sale.filled_qty == sale.qty
        and before.quantity - sale.qty < 2 * step,
        f"{sale.client_order_id}: market sell of {plain(sale.qty)} at {price(sale.filled_avg_price or ZERO)}",
    )
    following, asset = world.live(STORY), world.books.asset(STORY)
    world.check(
        "the next cycle in cooldown, born with the sale",
        following.status is CycleStatus.COOLDOWN and following.cooldown_started_at is not None,
        f"cycle {following.id} {following.status} since {following.cooldown_started_at:%H:%M:%S} UTC",
    )
    world.check(
        "last_sell_price to be the sale's",
        asset is not None and _is_about(asset.last_sell_price or ZERO, sale.filled_avg_price or ZERO),
        f"last_sell_price {price((asset and asset.last_sell_price) or ZERO)}",
    )
    world.wait("the position to be gone", lambda: world.is_flat(STORY))
    if cash is not None and world.exchange is not None:
        _compare_cash(world, before.id, world.exchange.cash() - cash)


def _is_about(value: Decimal, other: Decimal) -> bool:
    """The same but for the last digits that a column cannot hold."""
    return abs(value - other) <= other * Decimal("1e-9")


def _compare_cash(world: World, cycle_id: int, received: Decimal) -> None:
    cycle = world.books.cycle(cycle_id)
    booked = cycle.sold_proceeds - cycle.sell_fee
    world.check(
        "a profit, and the exchange's cash to have grown by what is booked",
        cycle.net_profit > 0 and abs(received - booked) <= _CENTS,
        f"cash grew by {price(received)}, {price(booked)} is booked, net profit {price(cycle.net_profit)}",
    )


def partial_fill(world: World, market: Market) -> None:
    world.about = PARTIAL
    world.ensure_trading()
    market.fill_partly(world, PARTIAL)
    world.books.new_asset(PARTIAL)

    def partly() -> str | None:
        order, cycle = world.newest(PARTIAL, Purpose.BASE), world.books.live(PARTIAL)
        if order is None or cycle is None or order.filled_qty < order.qty * ENOUGH:
            return None
        return (
            f"{order.client_order_id}: {order.exchange_status}, {plain(order.filled_qty)} of "
            f"{plain(order.qty)}; cycle {cycle.status}, holds {plain(cycle.quantity)}"
        )

    world.wait("a part to be filled and booked", partly)
    market.fill_no_more(world, PARTIAL)
    order = world.newest(PARTIAL, Purpose.BASE)
    assert order is not None, "it was seen"
    world.check(
        "the order open, the cycle buying",
        order.is_live and world.live(PARTIAL).status is CycleStatus.BUYING,
        f"the rest of {plain(order.qty - order.filled_qty)} is open",
    )
    world.books.enable(PARTIAL, enabled=False)
    world.grow_stale(order)
    world.run("order_manager.py")
    ended = world.closed(order, "canceled")
    cycle = world.watches_with(PARTIAL, None)
    world.check(
        "the cycle to hold what was filled, less the fee",
        ZERO < ended.filled_qty < ended.qty and cycle.quantity == ended.filled_qty - ended.fee_qty,
        f"{plain(ended.filled_qty)} of {plain(ended.qty)} filled, {plain(cycle.quantity)} held",
    )
    world.compare_position(PARTIAL)


def canceled(world: World, market: Market) -> None:
    world.about = CANCELED
    world.ensure_trading()
    order = market.resting_buy(world, CANCELED)
    world.does(f"cancels {order.client_order_id} at the exchange, as a person in the dashboard would")
    world.account.broker.cancel(order.exchange_order_id or "")
    ended = world.closed(order, "canceled")
    cycle = world.watches_with(CANCELED, ZERO)
    world.check(
        "a cancel that was not ours",
        ended.state is OrderState.DONE and not ended.cancel_was_ours,
        "cancel_requested_at is empty: it was not the bot",
    )
    pause = ZERO
    if cycle.next_buy_at is not None:
        pause = Decimal(f"{(cycle.next_buy_at - world.clock.now()).total_seconds():.0f}")
    world.check(
        "the buy to rest for minutes, and the reason in words",
        pause > 60 and cycle.problem is not None,
        f"no buy for {pause} s; problem: {cycle.problem}",
    )
    world.pause(1.5)
    count = len(world.books.orders(cycle.id))
    world.check("no other order meanwhile", count == 1, f"{count} order in the cycle")


SCENARIOS = (
    Scenario(
        number=1,
        name="connection",
        prerequisite="keys, account and database as .env says",
        action="start main_app.py",
        expects=(
            "the account may trade crypto, the clocks agree",
            "both streams connected, orders settled once",
            "a fresh quote",
            "the start counted, the database tied to the account",
        ),
        play=connection,
        symbols=(STORY,),
    ),
    Scenario(
        number=2,
        name="base order",
        prerequisite=f"main_app trades, {STORY} holds nothing",
        action=f"enable {STORY} for $11",
        expects=(
            "a limit buy at the ask, written before it is sent, and filled",
            "the cycle watches, and holds what was filled less the fee in coin",
            "the account holds the same",
        ),
        play=base_order,
        symbols=(STORY,),
    ),
    Scenario(
        number=3,
        name="safety order",
        prerequisite=f"the cycle of {STORY} watches and holds its base order",
        action="the ask comes to 5 % below the last fill",
        expects=(
            "one limit buy for $11, level 1, filled",
            "safety_orders 1, the average between the fills",
            "the account holds the sum",
        ),
        play=safety_order,
        symbols=(STORY,),
    ),
    Scenario(
        number=4,
        name="take-profit",
        prerequisite=f"the cycle of {STORY} watches and holds",
        action="the bid comes to 5 % above the average",
        expects=(
            "one market sell of all that is held, filled",
            "the cycle complete, the next one in cooldown, last_sell_price set",
            "the position gone (and on the local exchange: the cash there)",
        ),
        play=take_profit,
        symbols=(STORY,),
    ),
    Scenario(
        number=5,
        name="partial fill",
        prerequisite=f"main_app trades, {PARTIAL} holds nothing",
        action="a base order of which only a part is filled; order_manager.py once it is stale",
        expects=(
            "the part booked at once, the cycle still buying",
            "the rest canceled by the order manager",
            "the cycle watches and holds the part less its fee, as the account does",
        ),
        play=partial_fill,
        symbols=(PARTIAL,),
    ),
    Scenario(
        number=6,
        name="cancel",
        prerequisite=f"an open buy of {CANCELED}, its cycle buying",
        action="somebody cancels it at the exchange",
        expects=(
            "the ledger has its end, not as asked for by the bot",
            "the cycle watches and holds nothing",
            "no new buy for minutes, and the reason in words",
        ),
        play=canceled,
        symbols=(CANCELED,),
    ),
)
