"""Scenarios 7 to 14: the caretakers, the watchdog, and what happens while main_app is down."""

from decimal import Decimal

from dca.core.model import ZERO, Cycle, CycleStatus, OrderState, Purpose, Side, Snapshot, plain
from integration.market import RESTING, Market
from integration.problems import Failed
from integration.scenario import Scenario
from integration.world import World, price

STALE, ORPHAN, RESTED, RESTARTED = "LTC/USD", "AVAX/USD", ("UNI/USD", "DOT/USD"), "DOGE/USD"
WATCHED, MISSED = "SOL/USD", "ETH/USD"
_COOLDOWN_SECONDS, _SHORTENED_SECONDS = 600, 1
MARKETABLE = Decimal("1.005")
"""A limit so far above the ask is filled at once, at the ask."""
_NONSENSE = 7


def stale_buy(world: World, market: Market) -> None:
    world.about = STALE
    world.ensure_trading()
    order = market.resting_buy(world, STALE)
    world.books.enable(STALE, enabled=False)
    world.grow_stale(order)
    world.run("order_manager.py")
    _ran(world, "order_manager", changed=1)
    ended = world.closed(order, "canceled")
    cycle = world.watches_with(STALE, ZERO)
    world.check("a cancel of ours", ended.cancel_was_ours, f"cancel asked for at {_time(ended)} UTC")
    world.check(
        "no pause before the next buy: it is to be priced anew",
        cycle.next_buy_at is None and cycle.refusals == 0,
        "next_buy_at empty, refusals 0",
    )


def _time(ended: object) -> str:
    at = getattr(ended, "cancel_requested_at", None)
    return f"{at:%H:%M:%S}" if at is not None else "no time"


def _ran(world: World, job: str, changed: int) -> None:
    """The row that a caretaker leaves."""
    run = world.books.last_run(job)
    world.check(
        f"a row in job_runs: done, at least {changed} changed",
        run is not None and run.result == "done" and run.changed >= changed,
        "no row in job_runs"
        if run is None
        else f"job_runs: {job} {run.result}, checked {run.checked}, changed {run.changed}",
    )


def orphan(world: World, _market: Market) -> None:
    world.about = ORPHAN
    world.ensure_trading()
    world.books.new_asset(ORPHAN, enabled=False, status=CycleStatus.WATCHING)
    world.followed(ORPHAN)
    limit = world.account.quote(ORPHAN).bid * RESTING
    world.does(
        f"sends two buys of {ORPHAN} at {price(limit)} past the ledger: one with the bot's id, one not"
    )
    ours = world.account.outside(world.account.orphan_id(), ORPHAN, Side.BUY, limit)
    foreign = world.account.outside(world.account.own_id(), ORPHAN, Side.BUY, limit)

    def locked() -> str | None:
        asset = world.books.asset(ORPHAN)
        return None if asset is None or asset.lock_reason is None else f"locked: {asset.lock_reason}"

    world.wait("main_app to lock the asset", locked)
    world.run("order_manager.py")
    end = world.account.ended(ours.client_order_id)
    world.check("the orphan canceled", end.status == "canceled", f"{ours.client_order_id} {end.status}")
    _untouched(world, foreign)
    world.run("consistency_checker.py")
    asset = world.books.asset(ORPHAN)
    world.check(
        "the asset unlocked by itself: the books agree",
        asset is not None and asset.lock_reason is None,
        f"lock_reason is {'empty' if asset is not None and asset.lock_reason is None else 'still there'}",
    )


def _untouched(world: World, foreign: Snapshot) -> None:
    now = world.account.broker.order(foreign.client_order_id)
    world.check(
        "the foreign order untouched",
        now is not None and not now.is_closed and now.filled_qty == 0,
        f"{foreign.client_order_id} is {'unknown' if now is None else now.status}",
    )
    world.account.cancel([foreign], world.does)


def cooldown_by_time(world: World, _market: Market) -> None:
    with_sale, without_sale = RESTED
    world.about = with_sale
    if world.scripts.main_app_runs():
        world.does("stops main_app.py: it would end the cooldown by itself")
        world.scripts.stop_main_app()
    began = world.clock.now()
    world.books.new_asset(
        with_sale,
        enabled=False,
        status=CycleStatus.COOLDOWN,
        cooldown_started_at=began,
        cooldown_seconds=_COOLDOWN_SECONDS,
    )
    world.books.new_asset(without_sale, enabled=False, status=CycleStatus.COOLDOWN)
    world.run("cooldown_manager.py")
    age = (world.clock.now() - began).total_seconds()
    _status(world, with_sale, CycleStatus.COOLDOWN, f"after {age:.1f} of {_COOLDOWN_SECONDS} s")
    _status(world, without_sale, CycleStatus.WATCHING, "there is no sale behind it")
    world.does(f"shortens the cooldown to {_SHORTENED_SECONDS} s, and waits until it is over")
    world.books.set_cooldown(with_sale, _SHORTENED_SECONDS)
    world.pause(max(0.0, _SHORTENED_SECONDS - (world.clock.now() - began).total_seconds()))
    world.run("cooldown_manager.py")
    _ran(world, "cooldown_manager", changed=1)
    _status(world, with_sale, CycleStatus.WATCHING, "its time is up")


def _status(world: World, symbol: str, status: CycleStatus, why: str) -> Cycle:
    cycle = world.live(symbol)
    world.check(f"{symbol} {status}: {why}", cycle.status is status, f"{symbol} is {cycle.status}: {why}")
    return cycle


def cooldown_by_price(world: World, market: Market) -> None:
    world.about = RESTARTED
    world.ensure_trading()
    now, ask = world.clock.now(), world.account.quote(RESTARTED).ask
    world.does(f"begins a cooldown of an hour for {RESTARTED}, last sale at {price(ask)}")
    world.books.new_asset(
        RESTARTED, status=CycleStatus.COOLDOWN, cooldown_started_at=now, last_sell_price=ask
    )
    world.followed(RESTARTED)
    _status(world, RESTARTED, CycleStatus.COOLDOWN, "the price is where it was sold")
    market.reach_early_restart(world, RESTARTED)

    def ended() -> str | None:
        cycle = world.books.live(RESTARTED)
        if cycle is None or cycle.status is CycleStatus.COOLDOWN:
            return None
        left = 3600 - (world.clock.now() - now).total_seconds()
        return f"the cooldown is over {left:.0f} s before its time, cycle {cycle.status}"

    world.wait("the cooldown to end early", ended)
    world.bought(RESTARTED, Purpose.BASE)
    world.compare_position(RESTARTED)


def buying_without_order(world: World, _market: Market) -> None:
    before = world.holding(WATCHED)
    world.books.enable(WATCHED, enabled=False)
    world.does(f"writes status buying and safety_orders {_NONSENSE} into cycle {before.id}, as a hand might")
    world.books.edit_cycle(before.id, CycleStatus.BUYING, _NONSENSE)
    world.run("consistency_checker.py")
    _ran(world, "consistency_checker", changed=1)
    after = world.live(WATCHED)
    world.check(
        "the cycle watching, with the numbers that its orders have",
        after.status is CycleStatus.WATCHING
        and (after.id, after.quantity, after.safety_orders)
        == (before.id, before.quantity, before.safety_orders),
        f"cycle {after.id} {after.status}, holds {plain(after.quantity)}, safety orders "
        f"{after.safety_orders}",
    )
    world.compare_position(WATCHED)


def holding_without_position(world: World, _market: Market) -> None:
    before = world.holding(WATCHED)
    world.books.enable(WATCHED, enabled=False)
    world.does(f"sells the position of {WATCHED} past the bot, as a person in the dashboard would")
    world.sell_outside(WATCHED, before.quantity)
    world.does(f"the checker looks twice, {world.settings.gone_seconds:g} s apart (GONE_SECONDS)")
    world.run("consistency_checker.py")
    _ran(world, "consistency_checker", changed=1)
    after, asset = world.live(WATCHED), world.books.asset(WATCHED)
    world.check(
        "the cycle as it was: a look at the account proves nothing",
        (after.id, after.status, after.quantity) == (before.id, CycleStatus.WATCHING, before.quantity),
        f"cycle {after.id} {after.status}, holds {plain(after.quantity)}",
    )
    reason = "" if asset is None else asset.lock_reason or ""
    world.check(
        "the asset locked, with the sale that explains it",
        f"{plain(before.quantity)} were sold past the bot" in reason,
        f"{WATCHED} is locked: {reason or 'no'}",
    )


def watchdog_restart(world: World, _market: Market) -> None:
    world.about = ""
    world.ensure_trading()
    pid, epoch = world.scripts.main_app_pid(), world.books.control().epoch
    world.run("watchdog.py")
    world.check(
        "a main app that is well to be left alone",
        world.scripts.main_app_pid() == pid and world.scripts.main_app_runs(),
        f"main_app is still pid {pid}",
    )
    killed = world.scripts.kill_main_app()
    world.does(f"killed main_app (pid {killed}) with kill -9; its lock is free")
    world.run("watchdog.py")

    def back() -> str | None:
        beat = world.scripts.beat()
        if beat is None or beat.pid == killed or beat.epoch is None:
            return None
        ready = beat.quotes_connected and beat.orders_connected and beat.last_settle_at
        age = (world.clock.now() - beat.beat_at).total_seconds()
        return f"main_app is back as pid {beat.pid}, its heart beat {age:.1f} s ago" if ready else None

    world.wait("main_app to be back and trading", back, seconds=max(30.0, world.patience_seconds))
    now = world.books.control().epoch
    world.check("one more start", now == epoch + 1, f"epoch {epoch} became {now}")


def missed_fill(world: World, _market: Market) -> None:
    world.about = MISSED
    world.ensure_trading()
    world.books.new_asset(MISSED, enabled=False, status=CycleStatus.WATCHING)
    pid = world.scripts.kill_main_app()
    limit = world.account.quote(MISSED).ask * MARKETABLE
    world.does(
        f"killed main_app (pid {pid}); leaves a buy of {MISSED} behind as if it had died after sending"
    )
    order = world.claimed(MISSED, limit)
    end = world.account.ended(order.client_order_id)
    unbooked = world.books.order(order)
    world.check(
        "a fill that the ledger does not know of",
        end.status == "filled" and unbooked.state is OrderState.SENT and unbooked.filled_qty == 0,
        f"the exchange: {end.status} {plain(end.filled_qty)} at {price(end.filled_avg_price or ZERO)}; the "
        f"ledger: {unbooked.state}, {plain(unbooked.filled_qty)} filled",
    )
    world.ensure_trading()
    booked = world.closed(order, "filled")
    world.check(
        "quantity and price of the exchange",
        (booked.filled_qty, booked.filled_avg_price) == (end.filled_qty, end.filled_avg_price),
        f"booked {plain(booked.filled_qty)} at {price(booked.filled_avg_price or ZERO)}",
    )
    world.watches_with(MISSED, None)
    world.compare_position(MISSED)
    orders = world.books.orders(order.cycle_id)
    if len(orders) != 1:
        raise Failed(f"expected that one order; the cycle has {len(orders)}")


SCENARIOS = (
    Scenario(
        number=7,
        name="stale buy",
        prerequisite=f"an open buy of {STALE}, older than STALE_ORDER_MINUTES",
        action="order_manager.py",
        expects=(
            "exit code 0, a row in job_runs with one change",
            "the order canceled at our request, its end in the ledger",
            "the cycle watches, free to buy at a new price",
        ),
        play=stale_buy,
        symbols=(STALE,),
    ),
    Scenario(
        number=8,
        name="orphan",
        prerequisite=f"two open buys of {ORPHAN} that no ledger knows: with the bot's id, and without",
        action="order_manager.py, then consistency_checker.py",
        expects=(
            "main_app locks the asset: nothing is traded over an unknown order",
            "the order manager cancels the orphan and leaves the foreign order alone",
            "the checker unlocks the asset when the books agree",
        ),
        play=orphan,
        symbols=(ORPHAN,),
    ),
    Scenario(
        number=9,
        name="cooldown by time",
        prerequisite="main_app is down; one cooldown with a sale behind it, one without",
        action=f"cooldown_manager.py, at once and when the cooldown of {_COOLDOWN_SECONDS} s was shortened",
        expects=(
            "the cooldown without a sale ends at once, the other goes on",
            "when its time is up it ends too: the cycle watches",
        ),
        play=cooldown_by_time,
        symbols=RESTED,
    ),
    Scenario(
        number=10,
        name="cooldown by price",
        prerequisite=f"main_app trades, {RESTARTED} in a cooldown of an hour",
        action="the ask comes to 5 % below the last sale",
        expects=(
            "nothing, while the price is where it was sold",
            "the cooldown ends early",
            "the next base order is bought at that price",
        ),
        play=cooldown_by_price,
        symbols=(RESTARTED,),
    ),
    Scenario(
        number=11,
        name="consistency: buying, no order",
        prerequisite=f"the cycle of {WATCHED} holds its base order; its row says buying, no order is open",
        action="consistency_checker.py",
        expects=(
            "exit code 0, a change in job_runs",
            "the cycle watches, with the quantity and counts that its orders have",
        ),
        play=buying_without_order,
        symbols=(WATCHED,),
    ),
    Scenario(
        number=12,
        name="consistency: holding, no position",
        prerequisite=f"the cycle of {WATCHED} holds; its coins were sold outside the bot",
        action="consistency_checker.py",
        expects=(
            "two reads of the position, then: the asset is locked, and the reason names the sale",
            "the cycle goes on; ./bot accept would book the sale and end the lock",
        ),
        play=holding_without_position,
        symbols=(WATCHED,),
    ),
    Scenario(
        number=13,
        name="watchdog after kill -9",
        prerequisite="main_app trades",
        action="watchdog.py; kill -9 of main_app; watchdog.py",
        expects=(
            "a main app that is well is left alone",
            "after the kill: another pid, a young heartbeat, both streams, one more start",
        ),
        play=watchdog_restart,
    ),
    Scenario(
        number=14,
        name="fill missed while down",
        prerequisite=f"main_app was killed between sending a buy of {MISSED} and its answer",
        action="the order fills while nobody listens; main_app.py starts",
        expects=(
            "the exchange has it filled, the ledger as sent and unknown",
            "after the start: booked with the exchange's quantity and price",
            "the cycle watches and holds it; no second order",
        ),
        play=missed_fill,
        symbols=(MISSED,),
    ),
)
