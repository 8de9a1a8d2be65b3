"""./bot why beside a real main_app: whatever keeps it from trading is named, whoever is the only one to know.

Each case brings the price to a level and main_app to reject it; "why" must have the reason, and the case is
over when main_app trades again.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dca.core.model import Mode
from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from tests.operating import Operator
from tests.processes import ROW, BotProcess, ExchangeProcess, eventually

SYMBOL = "BTC/USD"
START = "100"


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price(SYMBOL, START)
    yield exchange
    exchange.stop()


@pytest.fixture
def operator(
    tmp_path: Path,
    exchange: ExchangeProcess,
    database: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    return Operator(tmp_path, database, exchange.settings, monkeypatch, capsys)


@pytest.fixture
def bot(
    operator: Operator, tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> Iterator[BotProcess]:
    store.run_script(ROW.format(symbol=SYMBOL, base=20))
    bot = BotProcess(tmp_path, exchange.settings, database)
    yield bot
    bot.stop()


def bought(bot: BotProcess, store: Store) -> None:
    """A base order at START is filled, and main_app waits for the take-profit."""
    bot.start()
    eventually(bot.is_trading, seconds=30)
    eventually(lambda: _held(store), seconds=30)


def _held(store: Store) -> bool:
    cycles = store.transaction(lambda tx: tx.live_cycles())
    return bool(cycles) and cycles[0].quantity > 0 and cycles[0].status == "watching"


def says(operator: Operator, words: str, side: str = "not_selling") -> None:
    """The verdict of a side comes to name the words; never does one say that nothing is in the way."""

    def verdict() -> bool:
        told = operator.types("why", SYMBOL, "--json").json()
        for each in ("not_buying", "not_selling"):
            assert "othing keeps it" not in told[each] and "othing known keeps it" not in told[each]
        return words in str(told[side])

    eventually(verdict, seconds=20)


BAD_QUOTES = {
    "crossed": ("md.bad_quote", {"kind": "crossed"}, "crossed"),
    "late": ("md.bad_quote", {"kind": "stale"}, "s old"),
    "wide": ("md.bad_quote", {"kind": "spike"}, "spread above"),
    "zero": ("md.bad_quote", {"kind": "zero"}, "a price is not positive"),
}


@pytest.mark.parametrize("kind", sorted(BAD_QUOTES))
def test_quotes_that_main_app_rejects(
    kind: str, bot: BotProcess, operator: Operator, exchange: ExchangeProcess, store: Store
) -> None:
    """The exchange's own latest quote is a good one at the take-profit: only main_app knows."""
    bought(bot, store)
    fault, args, words = BAD_QUOTES[kind]
    exchange.fault(fault, count=100_000, symbol=SYMBOL, **args)
    exchange.price(SYMBOL, "103")
    says(operator, f"main_app rejects its newest quote: {words}" if kind != "late" else words)
    screen = operator.types("why", SYMBOL)
    assert "What main_app says" in screen.out and len(screen.out.splitlines()) <= 24, screen.out
    exchange.clear_faults()
    exchange.price(SYMBOL, "103.1")
    says(operator, "holds nothing")


def test_no_quotes_and_main_app_gone(
    bot: BotProcess, operator: Operator, exchange: ExchangeProcess, store: Store
) -> None:
    exchange.fault("md.mute", count=100_000)
    bot.start()
    eventually(bot.is_trading, seconds=30)
    says(operator, "no quote of it that can be read has come since main_app started", "not_buying")
    bot.stop()
    says(operator, "main_app is not running", "not_buying")
    first = operator.types("why", SYMBOL).out.splitlines()[1]
    assert "main_app is not running" in first


def test_a_price_that_the_exchange_does_not_confirm(
    bot: BotProcess, operator: Operator, exchange: ExchangeProcess, store: Store
) -> None:
    """The stream says that the take-profit is reached, the exchange's own quote does not answer."""
    bought(bot, store)
    exchange.fault("get.error", count=100_000, code=500)
    exchange.price(SYMBOL, "103")
    says(operator, "its sale is due")
    exchange.clear_faults()
    says(operator, "holds nothing")


def test_what_the_books_know(
    bot: BotProcess, operator: Operator, exchange: ExchangeProcess, store: Store
) -> None:
    """Mode, lock, disabled, and an order that the exchange refuses."""
    bought(bot, store)
    exchange.fault("reject", count=100_000, symbol=SYMBOL, code=40310000, msg="insufficient balance")
    exchange.price(SYMBOL, "98")
    says(operator, "after a refused buy", "not_buying")
    exchange.price(SYMBOL, "103")
    says(operator, "after a refused sell")
    store.transaction(lambda tx: tx.set_mode(Mode.HALT, "me: holidays"))
    says(operator, "the kill switch says halt (me: holidays)")
    store.run_script("UPDATE dca_control SET mode = 'exits_only';\n")
    says(operator, "exits_only", "not_buying")
    store.run_script("UPDATE dca_control SET mode = 'run'; UPDATE dca_assets SET is_enabled = FALSE;\n")
    says(operator, "it is disabled", "not_buying")


def test_cooldown_and_lack_of_money(
    bot: BotProcess, operator: Operator, exchange: ExchangeProcess, store: Store
) -> None:
    store.run_script("UPDATE dca_assets SET cooldown_period = 100000;\n")
    bought(bot, store)
    says(operator, "has to rise to 102")
    says(operator, "has to fall to 99", "not_buying")
    exchange.price(SYMBOL, "104")
    says(operator, "its cooldown lasts until", "not_buying")
    store.run_script("UPDATE dca_control SET epoch = epoch + 1;\n")
    says(operator, "main_app", "not_buying")
