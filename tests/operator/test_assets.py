"""./bot assets, add, set, enable, disable: effect first, then a question, then exactly that and a note."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dca.core.model import Asset, CycleStatus
from dca.core.operations import Action
from dca.database.store import Store
from dca.operator.asset_settings.asset_options import refusal
from dca.operator.asset_settings.assets import what_begins, what_stays
from dca.runtime.settings import DatabaseSettings
from tests import operating
from tests.builders import NOW, D, asset, holding, order
from tests.operating import Operator
from tests.processes import ROOT, ExchangeProcess


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


lonely = operating.lonely  # a fixture: an import would clash with arguments


def rows(store: Store) -> list[Asset]:
    return store.transaction(lambda tx: tx.assets())


def actions(store: Store) -> list[Action]:
    return store.transaction(lambda tx: tx.actions())


def hold(store: Store, asset_id: int = 1) -> None:
    """The asset's cycle holds 0.1995 coins at 100."""

    def work(tx: Any) -> None:
        cycle = tx.live_cycle(asset_id)
        tx.update_cycle(replace(holding(), id=cycle.id, asset_id=asset_id, version=cycle.version))

    store.transaction(work)


# ---- add ----


def test_add_with_the_defaults_is_the_documented_example(bot: Operator, store: Store) -> None:
    done = bot.types("add", "btc/usd", "--yes")
    assert done.code == 0, done.err
    (row,) = rows(store)
    assert replace(row, id=1) == asset(
        safety_order_amount=D(20), max_safety_orders=5, safety_order_deviation=D("1.5")
    )
    assert "From the exchange's ask of" in done.out
    assert "Worst case of a cycle: $120.00 (base 20.00 + safety 5 x 20.00), 0.12 %" in done.flat
    steps = [line.split()[0] for line in done.out.splitlines() if line[:1].isdigit() or line[:4] == "base"]
    assert steps == ["base", "1", "2", "3", "4", "5"]
    (note,) = actions(store)
    assert (note.command, note.asset_symbol) == ("add btc/usd --yes", "BTC/USD")
    assert note.effect.startswith("added: is_enabled True, base_order_amount 20, ")


def test_the_ladder_starts_at_the_ask(bot: Operator, exchange: ExchangeProcess) -> None:
    exchange.price("ETH/USD", "2000")
    out = bot.types("add", "ETH/USD").out
    (base,) = [line for line in out.splitlines() if line.startswith("base")]
    ask = base.split()[1]
    assert ask.startswith("2,00") and f"ask of {ask} (" in out


def test_without_a_terminal_or_yes_nothing_is_written(bot: Operator, store: Store) -> None:
    done = bot.types("add", "BTC/USD")
    assert done.code == 1
    assert "--yes" in done.out and "Nothing was changed" in done.out
    assert rows(store) == [] and actions(store) == []


@pytest.mark.parametrize("answer", ["n", "y"])
def test_a_person_is_asked(bot: Operator, ready: Store, answer: str) -> None:
    """On a real terminal, with the question in sight."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dca.operator", "disable", "BTC/USD"],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"PATH": os.defpath, "TERM": "xterm", "COLUMNS": "100", "DCA_ENV_FILE": str(bot.env_file)},
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        assert select.select([ours], [], [], 20)[0], f"no question within 20 s, but: {shown!r}"
        shown += os.read(ours, 4096)
    assert b"will not buy anything" in shown
    assert rows(ready)[0].is_enabled, "before the answer"
    os.write(ours, f"{answer}\n".encode())
    assert process.wait(20) == (0 if answer == "y" else 1)
    os.close(ours)
    assert rows(ready)[0].is_enabled is (answer == "n")
    assert len(actions(ready)) == (answer == "y")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--base", "5"], "base_order_amount is 5, below 10.50"),
        (["--base", "0"], "base_order_amount 0 is refused by the database: it must be positive"),
        (["--safety", "0"], "safety_order_amount 0 is refused"),
        (["--max-safety", "1001"], "max_safety_orders 1001 is refused by the database: it must be 0 to 1000"),
        (["--deviation", "100"], "safety_order_deviation 100 is refused by the database: it must be above 0"),
        (["--take-profit", "-1"], "take_profit_percent -1 is refused by the database: it must be positive"),
        (["--cooldown", "-1"], "cooldown_period -1 is refused by the database: it must be not negative"),
        (
            ["--cooldown", "99999999999"],
            "cooldown_period 99999999999 is refused by the database: Out of range",
        ),
        (["--restart-drop", "100"], "buy_order_price_deviation_percent 100 is refused"),
        (["--base", "1E+15"], "base_order_amount 1000000000000000 is refused by the database: Out of range"),
        (["--base", "300000"], "base_order_amount is 300000, above the exchange's largest order"),
        (["--take-profit", "1.00005"], "take_profit_percent 1.00005 has too many digits"),
        (["--safety_order_amount", "5"], "safety_order_amount is 5, below 10.50"),
    ],
)
def test_a_value_that_cannot_be_is_one_line_with_its_column(
    bot: Operator, store: Store, options: list[str], says: str
) -> None:
    done = bot.types("add", "BTC/USD", "--yes", *options)
    assert done.code == 1
    assert done.err.startswith(f"add: {says}"), done.err
    assert done.err.count("\n") == 1
    assert rows(store) == [] and actions(store) == []


@pytest.mark.parametrize(
    ("symbol", "says"),
    [
        ("FOO/USD", "asset_symbol is FOO/USD: the exchange has no such pair"),
        ("ETH/BTC", "asset_symbol is ETH/BTC: only pairs against USD are traded"),
        ("BTCUSD", "asset_symbol BTCUSD is refused by the database: it must be a pair like BTC/USD"),
        ("A" * 30 + "/USD", f"asset_symbol {'A' * 30}/USD is refused by the database: Data too long"),
    ],
)
def test_a_pair_that_cannot_be(bot: Operator, store: Store, symbol: str, says: str) -> None:
    done = bot.types("add", symbol, "--yes")
    assert done.code == 1 and done.err.startswith(f"add: {says}"), done.err
    assert rows(store) == []


@pytest.mark.parametrize("text", ["nan", "inf", "20$", "", "1,5"])
def test_what_is_no_number_is_a_usage_error(bot: Operator, store: Store, text: str) -> None:
    done = bot.types("add", "BTC/USD", "--yes", "--base", text)
    assert done.code == 2 and "is not a number" in done.err
    assert rows(store) == []


def test_a_pair_is_added_once(bot: Operator, store: Store) -> None:
    bot.types("add", "BTC/USD", "--yes")
    done = bot.types("add", "BTC/USD", "--base", "99", "--yes")
    assert done.code == 1 and "./bot set BTC/USD" in done.err
    assert rows(store)[0].base_order_amount == 20


def test_warnings_do_not_forbid(bot: Operator, store: Store) -> None:
    options = ["--take-profit", "0.4", "--deviation", "9", "--max-safety", "60", "--safety", "2000"]
    done = bot.types("add", "BTC/USD", "--yes", *options)
    assert done.code == 0
    assert "WARNING: take_profit_percent 0.4 is below the 0.502 %" in done.flat
    assert "WARNING: safety order 60 waits for a drop of 99.7 %" in done.flat
    assert "exceeds the account's buying power" in done.flat
    assert len(rows(store)) == 1
    assert len([line for line in done.out.splitlines() if line[:1].isdigit()]) <= 14, "not all sixty steps"


def test_without_an_exchange_the_ladder_is_in_percent(lonely: Operator, store: Store) -> None:
    done = lonely.types("add", "BTC/USD", "--yes")
    assert done.code == 0, done.err
    assert "the exchange does not answer" in done.flat and "prices are percentages" in done.flat
    assert "WARNING: could not check whether the exchange has the pair BTC/USD" in done.flat
    (base,) = [line.split() for line in done.out.splitlines() if line.startswith("base")]
    assert base[1] == "100.00"
    assert "buying power" not in done.out
    assert len(rows(store)) == 1


def test_without_an_exchange_amounts_are_judged_all_the_same(lonely: Operator, store: Store) -> None:
    assert "base_order_amount is 5" in lonely.types("add", "BTC/USD", "--yes", "--base", "5").err
    assert rows(store) == []


def test_a_refusal_that_names_no_column_is_told_whole() -> None:
    assert (
        refusal("something else", {"base_order_amount": D(1)})
        == "the database refuses the row: something else"
    )


# ---- set ----


def test_set_writes_what_changed_and_nothing_else(bot: Operator, ready: Store) -> None:
    before = rows(ready)
    done = bot.types("set", "btc/usd", "--take-profit", "1.5", "--base", "20", "--max-safety", "4", "--yes")
    assert done.code == 0, done.err
    assert rows(ready) == [replace(before[0], take_profit_percent=D("1.5"), max_safety_orders=4), before[1]]
    changes = {line.split()[0]: line.split()[-2:] for line in done.out.splitlines() if " " in line.strip()}
    assert changes["take_profit_percent"] == ["2", "1.5"]
    assert changes["max_safety_orders"] == ["3", "4"]
    assert changes["worst"] == ["80.00", "100.00"]
    assert "base_order_amount" not in done.out, "20 it was"
    (note,) = actions(ready)
    assert note.effect == "max_safety_orders 3 -> 4, take_profit_percent 2 -> 1.5"


def test_set_keeps_what_somebody_else_changed_meanwhile(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.change_asset(1, {"cooldown_period": 77}))
    bot.types("set", "BTC/USD", "--base", "33", "--yes")
    assert (rows(ready)[0].cooldown_period, rows(ready)[0].base_order_amount) == (77, D(33))


def test_set_to_what_it_is_changes_nothing(bot: Operator, ready: Store) -> None:
    done = bot.types("set", "BTC/USD", "--take-profit", "2.00", "--yes")
    assert done.code == 0 and "already" in done.out and actions(ready) == []


def test_set_without_a_setting_is_a_usage_error(bot: Operator, ready: Store) -> None:
    done = bot.types("set", "BTC/USD", "--yes")
    assert done.code == 2 and "--take-profit" in done.err


def test_set_refuses_what_it_would_make_worse_only(bot: Operator, ready: Store) -> None:
    """A row that is wrong elsewhere can still be changed where it is right."""
    ready.transaction(lambda tx: tx.change_asset(1, {"safety_order_amount": D(7)}))
    refused = bot.types("set", "BTC/USD", "--base", "3", "--yes")
    assert refused.code == 1 and refused.err.startswith("set: base_order_amount is 3, below 10.50")
    done = bot.types("set", "BTC/USD", "--take-profit", "1.5", "--yes")
    assert done.code == 0 and "WARNING: safety_order_amount is 7, below 10.50" in done.flat
    assert rows(ready)[0].take_profit_percent == D("1.5")
    assert "is refused by the database" in bot.types("set", "BTC/USD", "--deviation", "0", "--yes").err


def test_set_says_what_it_means_for_the_coins_held(
    bot: Operator, ready: Store, exchange: ExchangeProcess
) -> None:
    """0.1995 at 100, 2 % and 1 % steps: sells at 102, buys at 99; the price is between 101 and 102."""
    hold(ready)
    exchange.price("BTC/USD", "101.5")
    done = bot.types("set", "BTC/USD", "--take-profit", "1")
    assert "holds 0.1995 at 100.00: it sells at 101.00 instead of 102.00" in done.flat
    assert "next safety order is at 99.0000 (unchanged)" in done.flat
    assert "WARNING: the bid is 101" in done.flat and "sold immediately" in done.flat
    quiet = bot.types("set", "BTC/USD", "--deviation", "3")
    assert "97.0000 instead of 99.0000" in quiet.flat and "sold immediately" not in quiet.flat


def test_an_unknown_asset_is_told_with_those_there_are(bot: Operator, ready: Store) -> None:
    done = bot.types("set", "DOGE/USD", "--base", "30")
    assert done.code == 1 and "there are: BTC/USD, ETH/USD" in done.err


# ---- enable, disable ----


def test_disable_and_enable(bot: Operator, ready: Store) -> None:
    hold(ready)
    done = bot.types("disable", "BTC/USD", "--yes")
    assert done.code == 0 and not rows(ready)[0].is_enabled
    assert (
        "holds 0.1995 at an average of 100.00: still sold at a profit when the bid reaches 102.00"
        in done.flat
    )
    again = bot.types("disable", "BTC/USD", "--yes")
    assert again.code == 0 and "already" in again.out
    back = bot.types("enable", "BTC/USD", "--yes")
    assert back.code == 0 and rows(ready)[0].is_enabled
    assert "Worst case of a cycle: $80.00" in back.flat
    assert [note.effect for note in actions(ready)] == ["enabled", "disabled"]


def test_enabling_says_what_still_keeps_it_from_buying(bot: Operator, ready: Store) -> None:
    ready.transaction(lambda tx: tx.change_asset(1, {"is_enabled": False, "base_order_amount": D(5)}))
    ready.transaction(lambda tx: tx.lock_asset(1, "the books disagree", NOW))
    done = bot.types("enable", "BTC/USD", "--yes")
    assert "WARNING: it will not buy: base_order_amount is 5" in done.flat
    assert "WARNING: it is locked, and enabling does not unlock it: the books disagree" in done.flat
    assert rows(ready)[0].is_enabled


def test_what_an_enabled_asset_buys_first() -> None:
    assert what_begins(asset(), None) == "BTC/USD will buy again, starting with a base order of $20.00."
    assert "next, a safety order of cycle 12 at 98.5000." in what_begins(asset(), holding())
    assert "not in cycle 12" in what_begins(asset(), holding(safety_orders=3))


def test_what_stays_of_a_disabled_asset() -> None:
    lines = what_stays(asset(), holding(), [order()])
    assert "Its open buy of 0.2 is not canceled by this and may still fill." in lines
    assert "It holds nothing." in what_stays(asset(), None, [])


# ---- assets ----


def test_no_asset_yet(lonely: Operator) -> None:
    done = lonely.types("assets")
    assert done.code == 0 and "./bot add BTC/USD" in done.out
    assert lonely.types("assets", "--json").json() == []


def test_the_table_of_assets(lonely: Operator, ready: Store) -> None:
    """It needs no exchange."""
    hold(ready)
    ready.transaction(lambda tx: tx.lock_asset(2, "the books disagree by 0.5 [evidence]", NOW))
    done = lonely.types("assets", columns=160)
    cells = {line.split()[0]: line.split() for line in done.out.splitlines()[:6] if line[3:4] == "/"}
    assert cells["BTC/USD"][1:] == [
        *["yes", "20.00", "20.00", "1", "3", "2", "3", "300", "1", "80.00", "20.00"],
        *["watching", "0/3"],
    ]
    assert cells["ETH/USD"][1] == "locked"
    assert "ETH/USD is locked (break): the books disagree by 0.5 [evidence]" in done.flat
    assert "Worst case of all enabled assets: $160.00" in done.out


def test_assets_as_json_are_exact(lonely: Operator, ready: Store) -> None:
    hold(ready)
    first, second = lonely.types("assets", "--json").json()
    assert (first["asset_symbol"], first["is_enabled"], first["base_order_amount"]) == ("BTC/USD", True, "20")
    assert (first["worst_case"], first["cooldown_period"]) == ("80", 300)
    assert (first["live_cycle"]["status"], first["live_cycle"]["quantity"]) == ("watching", "0.1995")
    assert second["live_cycle"]["quantity"] == "0"


def test_an_asset_without_a_live_cycle(lonely: Operator, store: Store) -> None:
    store.transaction(lambda tx: tx.insert_asset({**_values(), "asset_symbol": "SOL/USD"}))
    assert "no cycle" in lonely.types("assets").out
    assert lonely.types("assets", "--json").json()[0]["live_cycle"] is None
    store.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))
    assert "watching" in lonely.types("assets").out


def _values() -> dict[str, Any]:
    names = ("base_order_amount", "safety_order_amount", "max_safety_orders", "safety_order_deviation")
    more = ("take_profit_percent", "cooldown_period", "buy_order_price_deviation_percent")
    return {name: getattr(asset(), name) for name in names + more}
