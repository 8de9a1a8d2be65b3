"""The feed's two comparisons of floats never hide a quote that the levels would act on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dca.core import quote_filter
from dca.core.strategy import ANY_PRICE, NOTHING, Levels
from dca.exchange import parsing

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PRICES = st.decimals(min_value="1e-9", max_value="1e9", allow_nan=False, places=None)
TIMES = st.none() | st.integers(-5, 5).map(lambda seconds: NOW + timedelta(seconds=seconds))
FLOATS = st.floats(min_value=1e-9, max_value=1e9)


@st.composite
def near(draw: st.DrawFn) -> tuple[Levels, float, float]:
    """Levels, and a quote that is often within a few last digits of them."""
    levels = Levels(
        ask_at_most=draw(st.none() | PRICES | st.just(ANY_PRICE)),
        bid_at_least=draw(st.none() | PRICES | st.just(Decimal(0))),
        wake_at=draw(TIMES),
        buys_from=draw(TIMES),
        sells_from=draw(TIMES),
    )
    close = [float(each) for each in (levels.ask_at_most, levels.bid_at_least) if each and each.is_finite()]
    price = st.sampled_from(close) if close else FLOATS
    return levels, draw(FLOATS | price), draw(FLOATS | price)


@given(near())
def test_a_quote_that_reaches_a_level_is_never_quiet(case: tuple[Levels, float, float]) -> None:
    levels, bid, ask = case
    quote = parsing.stream_quote({"S": "BTC/USD", "bp": bid, "ap": ask, "t": NOW}, NOW)
    wired = quote_filter.of(levels, NOW)
    for later in range(-1, 7):
        now = NOW + timedelta(seconds=later)
        if later >= 0 and levels.reached(quote, now):
            assert not quote_filter.is_quiet(wired, bid, ask, now)


def test_nearly_every_quote_is_quiet() -> None:
    wired = quote_filter.of(Levels(ask_at_most=Decimal(90), bid_at_least=Decimal(110)), NOW)
    assert quote_filter.is_quiet(wired, 99.0, 101.0, NOW)
    assert not quote_filter.is_quiet(wired, 89.0, 90.0, NOW)
    assert not quote_filter.is_quiet(wired, 110.0, 111.0, NOW)
    assert quote_filter.is_quiet(quote_filter.of(NOTHING, NOW), 1.0, 1e9, NOW)


def test_a_price_that_is_no_number_is_looked_at() -> None:
    wired = quote_filter.of(Levels(ask_at_most=Decimal(90), bid_at_least=Decimal(110)), NOW)
    for bid, ask in ((float("nan"), 100.0), (100.0, float("nan"))):
        assert not quote_filter.is_quiet(wired, bid, ask, NOW)


def test_a_side_that_waits_after_a_refusal_is_quiet_until_then() -> None:
    until = NOW + timedelta(seconds=30)
    wired = quote_filter.of(Levels(ask_at_most=ANY_PRICE, bid_at_least=Decimal(110), buys_from=until), NOW)
    assert quote_filter.is_quiet(wired, 99.0, 101.0, NOW)
    assert not quote_filter.is_quiet(wired, 111.0, 112.0, NOW), "the other side does not wait"
    assert not quote_filter.is_quiet(wired, 99.0, 101.0, until)
