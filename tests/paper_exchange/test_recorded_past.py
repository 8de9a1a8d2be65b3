"""The past of a pair: made of the seed, as far back as is asked for, and one with what came since."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
import requests

from paper_exchange.bars import frame
from paper_exchange.history import MarketHistory
from paper_exchange.values import Quote
from tests.processes import ExchangeProcess

START = datetime(2026, 12, 1, 10, 17, 20, tzinfo=UTC)
PAIR = "BTC/USD"


def quote(at: datetime, price: int = 64_000) -> Quote:
    return Quote(symbol=PAIR, bid=Decimal(price - 1), ask=Decimal(price + 1), at=at)


def begun(seed: int = 7, seconds: int = 0) -> MarketHistory:
    history = MarketHistory(seed)
    for second in range(seconds + 1):
        history.add(quote(START + timedelta(seconds=second), 64_000 + second % 90))
        history.trade(quote(START + timedelta(seconds=second), 64_000 + second % 90))
    return history


def bars(
    history: MarketHistory, name: str, start: datetime, end: datetime, *, back: bool = False
) -> list[Any]:
    asked = frame(name)
    assert asked is not None
    return [bar.json() for bar in history.bars(PAIR, asked, start, end, newest_first=back)]


def test_the_past_is_one_with_the_seed_and_ends_at_the_first_price() -> None:
    start, end = START - timedelta(days=2), START
    first = bars(begun(), "1Min", start, end)
    assert first == bars(begun(), "1Min", start, end)
    assert first != bars(begun(8), "1Min", start, end)
    assert len(first) == 2 * 1440
    assert all(one["c"] == after["o"] for one, after in pairwise(first))
    assert (first[-2]["c"], first[-1]["o"]) == (64_000, 64_000)


def test_it_does_not_depend_on_what_was_asked_before() -> None:
    day = START - timedelta(days=400)
    history = begun()
    bars(history, "1Day", day - timedelta(days=9), day + timedelta(days=9))
    assert bars(history, "1Hour", day, day + timedelta(days=3)) == bars(
        begun(), "1Hour", day, day + timedelta(days=3)
    )


@pytest.mark.parametrize("name", ["5Min", "59T", "1Hour", "7H", "1Day", "1Week", "1Month"])
def test_a_frame_is_the_sum_of_its_minutes(name: str) -> None:
    history, asked = begun(seconds=4000), frame(name)
    assert asked is not None
    end = START + timedelta(seconds=4000)
    wide = bars(history, name, START - timedelta(days=8), end)[-1]
    begin = datetime.fromisoformat(wide["t"])
    parts = bars(history, "1Min", begin, end)
    assert (wide["o"], wide["c"]) == (parts[0]["o"], parts[-1]["c"])
    assert (wide["h"], wide["l"]) == (max(p["h"] for p in parts), min(p["l"] for p in parts))
    assert wide["n"] == sum(part["n"] for part in parts)
    assert wide["v"] == pytest.approx(sum(part["v"] for part in parts))
    assert bars(history, name, begin, end, back=True) == [wide]


def test_volume_comes_from_the_trades() -> None:
    history, start = begun(seconds=3000), START - timedelta(hours=5)
    end = START + timedelta(seconds=3000)
    trades = list(history.trades(PAIR, start, end, newest_first=False))
    minutes = bars(history, "1Min", start.replace(second=0), end)
    assert [trade.at for trade in trades] == sorted(trade.at for trade in trades)
    assert any(trade.at > START for trade in trades)
    for minute in minutes[1:]:
        at = datetime.fromisoformat(minute["t"])
        inside = [trade for trade in trades if at <= trade.at < at + timedelta(minutes=1)]
        assert minute["n"] == len(inside)
        assert minute["v"] == pytest.approx(sum(trade.size for trade in inside))
    assert trades == list(history.trades(PAIR, start, end, newest_first=True))[::-1]
    assert history.latest_trade(PAIR) == trades[-1]


def test_days_begin_at_midnight_in_chicago() -> None:
    winter, summer = datetime(2026, 1, 10, tzinfo=UTC), datetime(2026, 7, 10, tzinfo=UTC)
    for day, hour in ((winter, "06"), (summer, "05")):
        assert bars(begun(), "1Day", day, day + timedelta(days=1))[0]["t"][11:13] == hour


@pytest.mark.parametrize(
    "name", ["", "0Min", "60Min", "24H", "2Day", "2Week", "5Month", "1min", "Min", "1Year"]
)
def test_no_frame(name: str) -> None:
    assert frame(name) is None


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeProcess]:
    process = ExchangeProcess(
        tmp_path_factory.mktemp("exchange") / "log", "--market", "still", "--rate-limit", "0"
    )
    yield process
    process.stop()


def get(exchange: ExchangeProcess, path: str, **query: object) -> requests.Response:
    url = f"{exchange.urls['data']}/v1beta3/crypto/us/{path}"
    return requests.get(url, params={name: str(value) for name, value in query.items()}, timeout=30)


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("what", ["bars", "trades", "quotes"])
def test_pages_are_the_whole(exchange: ExchangeProcess, what: str, sort: str) -> None:
    asked = {
        "symbols": "ETH/USD,BTC/USD",
        "timeframe": "1Min",
        "start": "2026-03-01T23:00:00Z",
        "end": "2026-03-02T01:00:00Z",
        "sort": sort,
    }
    whole = get(exchange, what, limit=10_000, **asked).json()
    assert whole["next_page_token"] is None
    pages: dict[str, list[Any]] = {}
    token, limit = "", max(len(whole[what]["BTC/USD"]) // 2, 1)
    while True:
        page = get(exchange, what, limit=limit, page_token=token, **asked).json()
        assert sum(map(len, page[what].values())) <= limit
        for symbol, rows in page[what].items():
            pages.setdefault(symbol, []).extend(rows)
        token = page["next_page_token"]
        if token is None:
            break
    assert pages == whole[what]
    times = [row["t"] for row in pages["BTC/USD"]]
    assert times == sorted(times, reverse=sort == "desc")


@pytest.mark.parametrize(
    "query",
    [
        {"timeframe": "1Min"},
        {"symbols": "BTC/USD"},
        {"symbols": "BTCUSD", "timeframe": "1Min"},
        {"symbols": "BTC/USD", "timeframe": "1Year"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "sort": "up"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "limit": "10001"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "page_token": "abc"},
        {"symbols": "BTC/USD", "timeframe": "1Min", "start": "2026-02-02", "end": "2026-02-01"},
    ],
)
def test_a_question_that_is_none(exchange: ExchangeProcess, query: dict[str, str]) -> None:
    answer = get(exchange, "bars", **query)
    assert answer.status_code == 400
    assert set(answer.json()) == {"message"}


def test_a_snapshot_has_three_bars(exchange: ExchangeProcess) -> None:
    found = get(exchange, "snapshots", symbols=PAIR).json()["snapshots"][PAIR]
    times = [found[name]["t"] for name in ("prevDailyBar", "dailyBar", "minuteBar")]
    assert times == sorted(set(times))
    assert found["latestTrade"]["t"] < found["latestQuote"]["t"]
