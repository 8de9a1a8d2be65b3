"""The simulation itself: a seed is a run, the oracle sees what is wrong, and a failure gets small."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from dca.core.model import CycleStatus, Mode, Order, OrderState
from dca.core.selling import TakeProfitOrder
from proof.simulation import enumeration, reach
from proof.simulation.acts import Acts
from proof.simulation.enumeration import Case
from proof.simulation.exchange import SimBroker
from proof.simulation.hub import Hub, Killed, Process
from proof.simulation.lifecycles import LIFECYCLES, live
from proof.simulation.market import Mood
from proof.simulation.oracle import Violation
from proof.simulation.plan import KINDS, Step, draw
from proof.simulation.run import Outcome, run_seed, world_of
from proof.simulation.shrink import shrink
from proof.simulation.world import World, quiet_logging

SYMBOLS = ["BTC/USD", "ETH/USD"]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet_logging()


def test_a_seed_is_a_run() -> None:
    steps = draw(11, ["BTC/USD"])[:6]  # a pair that both seeds trade
    first, second = run_seed(11, steps), run_seed(11, steps)
    assert first.lines == second.lines and len(first.lines) > 20
    assert (first.cycles, first.orders, first.virtual_seconds) == (
        second.cycles,
        second.orders,
        second.virtual_seconds,
    )
    assert run_seed(12, steps).lines != first.lines


def test_every_kind_of_step_is_drawn_and_can_be_done() -> None:
    drawn = {step.kind for seed in range(400) for step in draw(seed, SYMBOLS)}
    assert drawn == KINDS.keys()


@pytest.mark.parametrize("life", LIFECYCLES, ids=lambda life: life.name)
def test_an_undisturbed_lifecycle_completes_cycles_and_breaks_nothing(life: Any) -> None:
    passed = live(life, lambda _: None)
    assert passed.violations == []
    assert passed.cycles >= 2
    assert len(passed.boundaries) > 100 and len(passed.calls) > 10 and len(passed.statements) > 200


def test_the_special_things_of_the_lifecycles_happen() -> None:
    told = {life.name: "\n".join(live(life, lambda _: None).lines) for life in LIFECYCLES}
    assert "partly filled" in told["partial"]
    assert "open for more than 12 s" in told["cancel"] and " canceled dca-" in told["cancel"]
    assert "refused dca-" in told["reject"]
    rival = told["take-profit while a safety buy is live"]
    assert rival.index("canceling dca-") < rival.index("-tp side=sell")
    assert "safety_order=1" in told["gap through levels"]
    assert told["sold in parts on a thin book"].count("-tp side=sell") >= 3


def prices_jump(world: World, while_it_is: str) -> str:
    """Every take-profit is reached, and for four minutes something is in the way; returns a pair."""
    symbol, *_ = pairs = list(world.market.prices)
    acts = Acts(world)
    world.market.mood = Mood.STILL
    world.begin()
    world.run(30)
    assert max(cycle.quantity for cycle in world.tables().cycles.values()) > 0
    jumps = [Step(at=0, kind="market.jump", symbol=each, args={"percent": 5}) for each in pairs]
    for step in (Step(at=0, kind=while_it_is, args={"seconds": 240}), *jumps):
        acts.doing(step)()
    return symbol


def test_answers_of_six_seconds_hold_no_sale_back() -> None:
    world = world_of(4)
    try:
        prices_jump(world, "rest.slow")
        world.run(200)
        assert world.violations == []
        sold = {cycle.asset_id for cycle in world.tables().cycles.values() if cycle.sold_qty > 0}
        assert sold == {cycle.asset_id for cycle in world.tables().cycles.values() if cycle.bought_qty > 0}
    finally:
        world.close()


def test_I32_a_sale_that_is_due_and_does_not_come_about_is_told() -> None:
    """Quotes that come twenty seconds late: for as long as it lasts."""
    world = world_of(1)
    try:
        symbol = prices_jump(world, "md.behind")
        world.run(200)
        assert world.violations == [] and world.standstill.seen > 0
        told = {each.symbol: each for each in world.living()[0].delays()}
        assert told[symbol].lasted_seconds > 120 and told[symbol].action == "sale"
        world.run(120)
        assert world.living()[0].delays() == [] and world.violations == []
    finally:
        world.close()


def test_a_crash_kills_the_process_at_that_boundary() -> None:
    life = LIFECYCLES[0]
    whole = enumeration.plain(life)
    place = next(n for n, name in enumerate(whole.boundaries, start=1) if name.endswith("before submit"))
    crashed = enumeration.run_case(Case(life=life.name, kind="crash", places=(place,)))
    assert crashed.boundaries[:place] == whole.boundaries[:place]
    assert any(name.startswith("main_app#2") for name in crashed.boundaries[place:])
    assert crashed.violations == []


def test_a_case_can_be_said_and_read() -> None:
    for case in (
        Case(life="happy", kind="crash", places=(3, 17)),
        Case(life="take-profit while a safety buy is live", kind="call", places=(9,), fault="late"),
    ):
        assert Case.parse(str(case)) == case
    for wrong in ("happy", "sad:crash:1", "happy:crash", "happy:dance:1", "happy:crash:one"):
        with pytest.raises(ValueError, match=r"LIFECYCLE|invalid literal"):
            Case.parse(wrong)


def test_what_a_dead_process_wants_has_no_effect() -> None:
    hub = Hub()
    done: list[str] = []
    process = Process(hub, "victim", lambda _: False, lambda _, error: done.append(repr(error)))

    def work() -> None:
        try:
            process.pause(5.0)
            done.append("went on")
        finally:
            with pytest.raises(Killed):
                process.reach("a last wish", 0.0)

    process.spawn(work)
    hub.at(2.0, process.die)
    hub.run(10.0)
    assert done == [] and not process.alive


# ---- the oracle -------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> Any:
    """Seed 3 after three undisturbed minutes: an asset that has bought."""
    world = world_of(3)
    world.begin()
    world.run(60.0)
    assert world.violations == [] and world.tables().orders
    yield world
    world.close()


def _first(world: World) -> Any:
    return world.tables().orders[1]


def _rewrite(world: World, **changes: Any) -> None:
    """A commit of the bot's that is wrong."""
    process = world.living()[0].process
    store = world.database.store(process)
    wrong = replace(_first(world), **changes)
    process.spawn(lambda: store.transaction(lambda tx: tx.update_order(wrong)))
    world.run(2.0)


@pytest.mark.parametrize(
    ("number", "changes"),
    [
        ("I05", {"filled_qty": Decimal(10_000), "filled_avg_price": Decimal(1)}),
        ("I18", {"filled_qty": Decimal(0), "fee_qty": Decimal(0)}),
        ("I18", {"state": OrderState.ACKED}),
        ("I07", {"filled_value": Decimal(1)}),
        ("I11", {"filled_value": Decimal(10_000)}),
    ],
)
def test_the_oracle_sees_a_wrong_row(world: World, number: str, changes: dict[str, Any]) -> None:
    _rewrite(world, **changes)
    assert number in {violation.number for violation in world.violations}


def _claimed(world: World, **changes: Any) -> None:
    process = world.living()[0].process
    store = world.database.store(process)
    name = f"{_first(world).client_order_id[:-4]}-77-b"
    new = replace(
        _first(world),
        id=0,
        seq=77,
        client_order_id=name,
        state=OrderState.REJECTED,
        filled_qty=Decimal(0),
        filled_value=Decimal(0),
        fee_qty=Decimal(0),
        **changes,
    )
    process.spawn(lambda: store.transaction(lambda tx: tx.insert_order(new)))
    world.run(2.0)


@pytest.mark.parametrize(
    ("number", "before", "changes"),
    [
        ("I15", lambda world: world.person.turn_switch(Mode.HALT), {}),
        ("I15", lambda world: world.person.turn_switch(Mode.EXITS_ONLY), {}),
        ("I16", lambda world: world.person.disable_all(), {}),
        ("I16", lambda world: None, {"quote_age_ms": 15_001}),
        ("I17", lambda world: None, {"limit_price": Decimal(10**6)}),
        ("I17", lambda world: None, {"trigger_price": Decimal("0.0001")}),
        ("I22", lambda world: None, {"epoch": 0}),
    ],
)
def test_the_oracle_sees_a_claim_that_must_not_be(
    world: World, number: str, before: Callable[[World], object], changes: dict[str, Any]
) -> None:
    before(world)
    _claimed(world, **changes)
    assert number in {violation.number for violation in world.violations}


def _submit(broker: SimBroker, order: Order) -> None:
    broker.submit(order)


def test_the_oracle_sees_what_is_sent(world: World) -> None:
    """A second open order, one that nobody wrote down, coins of others, and a foreign order canceled."""
    from proof.simulation.exchange import SimBroker

    main = world.living()[0]
    broker = SimBroker(main.process, world.exchange)
    row = _first(world)
    low = row.quote_price / 2
    for seq in ("8", "9"):
        unwritten = replace(row, client_order_id=row.client_order_id + seq, limit_price=round(low, 6))
        main.process.spawn(partial(_submit, broker, unwritten))
    world.hub.run(world.hub.seconds + 1.0)
    found = {violation.number for violation in world.violations}
    assert {"I04", "I02"} <= found
    world.oracle.violations.clear()
    world.person.buy(row.symbol, Decimal(500))
    body = {"symbol": row.symbol, "side": "buy", "type": "limit", "time_in_force": "gtc"}
    coins = str(round(Decimal(50) / low, 6))
    world.engine.submit({**body, "qty": coins, "limit_price": str(round(low, 6))}, manual=True)
    foreign = next(order for order in world.engine.orders.values() if order.manual and order.is_open)
    main.process.spawn(lambda: broker.cancel(foreign.id))
    world.run(1.0)
    assert {violation.number for violation in world.violations} == {"I26"}


def test_a_bug_of_the_product_is_a_finding(world: World) -> None:
    def bug() -> None:
        raise KeyError("a bug")

    world.living()[0].process.spawn(bug)
    world.run(1.0)
    assert [violation.number for violation in world.violations] == ["crash"]
    assert "KeyError" in str(world.violations[0])


def test_a_status_that_its_orders_do_not_explain(world: World) -> None:
    process = world.living()[0].process
    store = world.database.store(process)
    number = next(iter(world.tables().live_cycle.values()))

    def work(tx: Any) -> None:
        tx.update_cycle(replace(tx.cycle(number), status=CycleStatus.SELLING))

    process.spawn(lambda: store.transaction(work))
    world.run(1.0)
    assert "I14" in {violation.number for violation in world.violations}


# ---- shrinking and reaching -------------------------------------------------------------------------------


def _outcome(steps: list[Step], number: str | None) -> Outcome:
    violations = [] if number is None else [Violation(number=number, text="", seconds=0.0)]
    return Outcome(seed=1, steps=steps, violations=violations)


def test_a_failure_is_shrunk_to_the_steps_that_it_needs() -> None:
    steps = [Step(at=float(n), kind=f"step {n}") for n in range(23)]
    needed = {"step 4", "step 17"}

    def run(fewer: list[Step]) -> Outcome:
        kinds = {step.kind for step in fewer}
        return _outcome(fewer, "I02" if needed <= kinds else "I99" if len(kinds) > 20 else None)

    found = shrink(run(steps), run)
    assert {step.kind for step in found.steps} == needed and found.violations[0].number == "I02"


def test_a_run_in_which_something_never_happened_says_so() -> None:
    happened = Counter(dict.fromkeys(KINDS, reach.LEAST))
    told = Counter({lines[0]: reach.LEAST for lines in reach.BRANCHES.values()})
    assert reach.missing(happened, told) == []
    happened["submit.late"] = reach.LEAST - 1
    del told["order: void"]
    assert reach.missing(happened, told) == ["submit.late: 9", "given up after two denials: 0"]


def test_F77_a_pair_that_was_halted_at_the_start_is_bought_soon_after() -> None:
    """Found by the simulation: the rules were read at the start and then once an hour."""
    world = world_of(3)
    try:
        pairs = [world.engine.pairs[symbol] for symbol in world.market.prices]
        for pair in pairs:
            pair.tradable = False
        world.begin()
        world.run(30.0)
        assert not world.tables().orders
        for pair in pairs:
            pair.tradable = True
        world.run(70.0)
        bought = {order.symbol for order in world.tables().orders.values()}
        assert bought == set(world.market.prices) and world.violations == []
    finally:
        world.close()


def test_I33_no_limit_sells_at_a_loss() -> None:
    """Thin books, partial fills and fees: what is left of a cycle is never offered below what it cost."""
    sales = 0
    for seed in range(1, 400):
        world = world_of(seed)
        selling = world.settings.selling
        world.close()
        if selling.order is not TakeProfitOrder.LIMIT_IOC:
            continue
        outcome = run_seed(seed, [])
        assert outcome.violations == []
        sales += outcome.cycles
        if sales > 25:
            break
    assert sales > 25
