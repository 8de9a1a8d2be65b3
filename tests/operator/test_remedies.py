"""A person follows each remedy that is printed, and it helps."""

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dca.alerts import lock_details
from dca.core import ledger, remedies, strategy
from dca.core.errors import AssetProblem
from dca.core.model import CycleStatus, LockKind, Mode
from dca.core.operations import Action
from dca.database.store import Store, Transaction
from dca.operator.__main__ import COMMANDS
from dca.runtime.settings import DatabaseSettings
from launcher.main import COMMANDS as LAUNCHED
from tests.builders import D, asset, cycle, done, rules
from tests.operating import Operator
from tests.operator.test_holding import bot as at_the_rig
from tests.processes import ROOT, ExchangeProcess
from tests.rig import Rig

GONE = "GONE/USD"
INSERT = (
    "INSERT INTO dca_assets (asset_symbol, is_enabled, base_order_amount, safety_order_amount,"
    " max_safety_orders, safety_order_deviation, take_profit_percent, cooldown_period,"
    " buy_order_price_deviation_percent)"
    " VALUES ('{symbol}', {on}, {base}, 20, {most}, 1.5, {profit}, 300, 2);\n"
)


def row(symbol: str, on: str = "TRUE", base: str = "20", most: str = "5", profit: str = "1") -> str:
    return INSERT.format(symbol=symbol, on=on, base=base, most=most, profit=profit)


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path_factory.mktemp("exchange") / "log")
    yield exchange
    exchange.stop()


@pytest.fixture
def bot(
    tmp_path: Path,
    database: DatabaseSettings,
    exchange: ExchangeProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    return Operator(tmp_path, database, exchange.settings, monkeypatch, capsys)


def command_in(text: str, verb: str) -> list[str]:
    """The words of `./bot VERB PAIR [OPTIONS]` as printed, ready to be typed."""
    found = re.search(rf"\./bot ({verb} [A-Z]+/USD(?: --[a-z-]+ [0-9.]+)?)", text)
    assert found, text
    return [*shlex.split(found[1]), "--yes"]


def told_by_doctor(bot: Operator, symbol: str) -> list[dict[str, str]]:
    lines: list[dict[str, str]] = bot.types("doctor", "--json").json()["checks"]
    return [line for line in lines if line["name"] == symbol]


def test_every_command_that_is_printed_exists() -> None:
    """Every `./bot NAME` in a text of the sources names a command, and no option is made up."""
    options = {
        name: {option for action in _parser(name)._actions for option in action.option_strings}
        for name in COMMANDS
    }
    for file in [*(ROOT / "dca").rglob("*.py"), *(ROOT / "launcher").glob("*.py")]:
        tree = ast.parse(file.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Constant) and isinstance(node.value, str)) or id(node) in docs:
                continue
            for name, rest in re.findall(r"\./bot ([a-z-]+)([^;.,()]*)", node.value):
                assert name in LAUNCHED, f"{file.name}: ./bot {name}"
                given = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
                assert given <= options.get(name, given), f"{file.name}: ./bot {name}{rest}"


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    COMMANDS[name].add_arguments(parser)
    return parser


def test_why_of_a_pair_that_is_not_there(bot: Operator, store: Store) -> None:
    told = bot.types("why", "ETH/USD")
    assert bot.types(*command_in(told.flat, "add")).code == 0
    assert bot.types("why", "ETH/USD").code == 0
    told = bot.types("enable", "SOL/USD")
    assert bot.types(*command_in(told.err, "add")).code == 0


def test_why_of_a_disabled_asset(bot: Operator, store: Store) -> None:
    store.run_script(row("ETH/USD", on="FALSE"))
    assert bot.types(*command_in(bot.types("why", "ETH/USD").flat, "enable")).code == 0
    assert "disabled" not in bot.types("why", "ETH/USD").flat


@pytest.mark.parametrize(
    "values",
    [{"base": "5"}, {"base": "300000"}, {"profit": "0.3"}, {"most": "900"}],
    ids=" ".join,
)
def test_what_doctor_says_of_a_row_is_followed_until_it_is_well(
    bot: Operator, store: Store, exchange: ExchangeProcess, values: dict[str, str]
) -> None:
    exchange.price("ETH/USD", "2000")
    store.run_script(row("ETH/USD", **values))
    for _ in range(3):
        lines = [line for line in told_by_doctor(bot, "ETH/USD") if line["level"] != "OK"]
        if not lines:
            break
        followed = bot.types(*command_in(lines[0]["remedy"], "set"))
        assert followed.code == 0, followed.out + followed.err
    assert not lines


def test_a_pair_that_the_exchange_never_had_is_removed(bot: Operator, store: Store) -> None:
    store.run_script(row(GONE))
    store.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))
    (line,) = told_by_doctor(bot, GONE)
    assert line["level"] == "FAIL" and "no such pair" in line["fact"]
    assert f"./bot remove {GONE} if it was never traded" in bot.types("why", GONE).flat
    assert "was never traded: use ./bot remove" in bot.types("retire", GONE).err
    assert bot.types(*command_in(line["remedy"], "remove")).code == 0
    assert store.transaction(lambda tx: (tx.assets(), tx.live_cycles())) == ([], [])
    assert effects(store) == ["removed"]


def effects(store: Store) -> list[str]:
    found: list[Action] = store.transaction(lambda tx: tx.actions())
    return [each.effect for each in found]


@pytest.mark.parametrize("held", [False, True])
def test_a_traded_pair_that_is_gone_is_retired(bot: Operator, store: Store, *, held: bool) -> None:
    """Its orders stay; coins that it still holds are booked at what somebody says that they brought."""
    store.run_script(row(GONE))
    store.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))
    filled = "0.2" if held else "0"
    order = done(filled=filled, asset_id=1, cycle_id=1, symbol=GONE, exchange_status="canceled")
    store.transaction(lambda tx: tx.insert_order(order))
    if held:
        values: dict[str, Any] = {"quantity": D("0.1995"), "bought_qty": D("0.2"), "bought_cost": D(20)}
        values |= {"average_purchase_price": D(100), "last_order_fill_price": D(100)}
        store.transaction(lambda tx: tx.update_cycle(replace(tx.cycle(1), buy_fee_qty=D("0.0005"), **values)))
    (line,) = told_by_doctor(bot, GONE)
    assert "was traded, so its orders must stay: use ./bot retire" in bot.types("remove", GONE).err
    typed = command_in(line["remedy"], "retire")
    if held:
        assert "give --price, the dollars received per coin" in bot.types(*typed).err
        typed += ["--price", "90"]
    followed = bot.types(*typed)
    assert followed.code == 0, followed.err
    assert store.transaction(lambda tx: tx.live_cycles()) == []
    assert [line["level"] for line in told_by_doctor(bot, GONE)] == ["OK"]
    (ended,) = bot.types("cycles", GONE, "--json").json()
    assert ended["status"] == ("complete" if held else "error")
    assert not store.transaction(lambda tx: tx.assets())[0].is_enabled
    assert "already retired" in bot.types("retire", GONE, "--yes").flat


def test_a_pair_that_can_be_sold_is_sold_before_it_is_retired(rig: Rig, tmp_path: Path) -> None:
    rig.bought("100")
    with pytest.raises(AssetProblem, match=r"\./bot sell BTC/USD first, then \./bot retire BTC/USD"):
        at_the_rig(rig, tmp_path, "retire BTC/USD --yes")
    at_the_rig(rig, tmp_path, "sell BTC/USD --yes")
    rig.look()
    rig.quote("100")
    rig.trader.books.book(rig.exchange.fill(rig.last_id(), price="100"))
    assert at_the_rig(rig, tmp_path, "retire BTC/USD --yes")[0] == 0
    assert rig.store.transaction(lambda tx: tx.live_cycles()) == []
    rig.look()
    rig.quote("100")
    assert rig.orders(2) == []


def test_an_edited_row_is_never_accepted_as_a_trade(rig: Rig, tmp_path: Path) -> None:
    """The ledger says that ten times as much was bought: nobody sold the difference."""
    rig.bought("100")
    order = rig.orders(1)[0]
    more = replace(order, qty=order.qty * 10, filled_qty=order.filled_qty * 10, filled_value=D(200))

    def edit(tx: Transaction) -> None:
        tx.update_order(more)
        tx._write("UPDATE dca_orders SET qty = %s WHERE id = %s", [more.qty, more.id])
        tx.update_cycle(ledger.with_totals(tx.cycle(1), [more]))
        tx.lock_asset(1, "dca-x: filled_qty is 2 here, 0.2 there (I05)", rig.clock.now())

    rig.store.transaction(edit)
    code, said = at_the_rig(rig, tmp_path, "accept BTC/USD --price 100 --yes")
    assert code == 1 and "the difference is no trade; put the row of dca_orders right" in " ".join(
        said.split()
    )
    with pytest.raises(AssetProblem) as refused:
        at_the_rig(rig, tmp_path, "resume BTC/USD --yes")
    assert "correct the row" in str(refused.value) and "accept" not in str(refused.value)
    told = lock_details.finding(rig.asset(), rig.cycle(), [more]).evidence
    assert "accept" not in told and "docs/operations.md" in told


@pytest.mark.parametrize("number", ["I09", "I30"])
def test_a_difference_that_may_be_a_trade_is_accepted(number: str) -> None:
    locked = asset(lock_reason=f"0.1 are missing ({number})", lock_kind=LockKind.BREAK)
    assert "./bot accept BTC/USD" in lock_details.finding(locked, cycle(), []).evidence


def test_a_pause_is_ended_as_why_says(bot: Operator, store: Store) -> None:
    store.run_script(row("ETH/USD"))
    store.transaction(lambda tx: tx.set_mode(Mode.EXITS_ONLY, "tried"))
    assert "no buys; ./bot resume" in bot.types("why", "ETH/USD").flat
    assert bot.types("resume", "--yes").code == 0
    assert "the kill switch says run" in bot.types("why", "ETH/USD").flat


def test_repairs_of_problems() -> None:
    for problem in strategy.asset_problems(asset(base_order_amount=D(5)), rules()):
        assert remedies.against("A/USD", problem) == "./bot set A/USD --base 10.5"
    assert "wait until" in remedies.against(
        "A/USD", strategy.asset_problems(asset(), rules(tradable=False))[0]
    )
    assert remedies.against("A/USD", "status is 'odd'") == "./bot why A/USD"
