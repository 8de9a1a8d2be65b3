"""Looks at an installation where all is well, for tests that change one thing of it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from dca.alerts import conditions
from dca.alerts.conditions import PERIODS
from dca.core.model import Asset, Control, Cycle, Mode, Quote, TradingRules
from dca.core.operations import JobRun, Result
from dca.operator.views.snapshot import Books, Market, Overview
from dca.operator.views.why_gates import Look
from dca.runtime.asset_reports import AssetReport, Reports
from dca.runtime.heartbeat import Beat
from dca.runtime.log_lines import Troubles
from dca.runtime.settings import Venue
from dca.trading.asset_reporting import Reporter
from dca.trading.delays import Delays
from dca.trading.watchlist import Desk
from tests.builders import NOW, SYMBOL, D, asset, holding, quote, rules
from tests.fake_exchange import FakeClock
from tests.rig import LIMITS
from tests.trading.test_delays import Heard

CONTROL = Control(install_id="abcd1234", account_id="account", epoch=1, mode=Mode.RUN)


def beat(**changes: Any) -> Beat:
    """Up for an hour, and everything heard a second ago."""
    second_ago = NOW - timedelta(seconds=1)
    default = Beat(
        pid=1,
        started_at=NOW - timedelta(hours=1),
        beat_at=second_ago,
        epoch=1,
        slowest_worker_seconds=0,
        last_settle_at=second_ago,
        quotes_connected=True,
        last_quote_at=second_ago,
        orders_connected=True,
        last_order_update_at=None,
        troubles=(),
    )
    return replace(default, **changes)


def run(job: str, minutes_ago: float = 0.5, result: Result = Result.DONE) -> JobRun:
    at = NOW - timedelta(minutes=minutes_ago)
    return JobRun(id=1, job=job, started_at=at, ended_at=at, result=result)


def books(**changes: Any) -> Books:
    """One asset that holds coins; every caretaker ran half a minute ago."""
    runs = {name: run(name) for name in PERIODS}
    cycle = holding()
    default = Books(
        control=CONTROL,
        assets=[asset()],
        cycles={1: cycle},
        began_at={cycle.id: NOW - timedelta(hours=2)},
        orders=[],
        last_runs=runs,
        good_runs=runs,
        first_run_at=NOW - timedelta(days=1),
        incidents=[],
        last_mail=None,
        unsent_mails=0,
        server_version="10.11.4-MariaDB",
        judged=conditions.Books(
            control=CONTROL, assets=[], cycles=[], orders=[], good_runs={}, run_starts=[]
        ),
    )
    made = replace(default, **changes)
    return replace(made, judged=_judged(made)) if "judged" not in changes else made


def _judged(of: Books) -> conditions.Books:
    """The same, as a review reads it."""
    return conditions.Books(
        control=of.control,
        assets=of.assets,
        cycles=list(of.cycles.values()),
        orders=of.orders,
        good_runs=dict(of.good_runs),
        run_starts=[],
    )


def overview(*, of: Books | None = None, **changes: Any) -> Overview:
    default = Overview(
        now=NOW,
        venue=Venue.PAPER,
        books=of or books(),
        market=Market(quotes={SYMBOL: quote("99.9", "100.1")}, rules={SYMBOL: rules()}),
        is_running=True,
        beat=beat(),
        maintenance=None,
        mail_to=None,
    )
    return replace(default, **changes)


def reports(report: AssetReport | None = None, age_seconds: float = 1) -> Reports:
    """main_app's file with this report; by default of an asset that holds coins, between its levels."""
    default = report or reported(quote("99.9", "100.1"))
    return Reports(written_at=NOW - timedelta(seconds=age_seconds), assets={SYMBOL: default})


def reported(
    newest: Quote | None,
    *,
    of: Asset | None = None,
    at: Cycle | None = None,
    pair: TradingRules | None = None,
    listed: bool = True,
    mode: Mode = Mode.RUN,
    **changes: Any,
) -> AssetReport:
    """What main_app reports of an asset, by its own code."""
    made, clock, feed = Desk("abcd1234", 1), FakeClock(), Heard()
    feed.quote = newest
    made.mode, made.rules = mode, {SYMBOL: pair or rules()} if listed else {}
    made.put(of or asset(), at or holding(), (), NOW)
    delays = Delays(made, feed, clock, Troubles())
    reporter = Reporter(made, feed, clock, delays, LIMITS.quote_problem, lambda _: None)
    return replace(reporter.all()[0], **changes)


def look(*, newest: Quote | None = None, pair: TradingRules | None = None, **changes: Any) -> Look:
    """An asset that holds coins, between its levels; `newest`: main_app's newest quote of it. The report is
    what main_app makes of the same rows."""
    default = Look(
        now=NOW,
        symbol=SYMBOL,
        is_running=True,
        beat=beat(),
        reports=None,
        maintenance=None,
        control=CONTROL,
        asset=asset(),
        cycle=holding(),
        buying_power=D(1000),
    )
    made = replace(default, **changes)
    if "reports" in changes:
        return made
    report = reported(
        newest or quote("99.9", "100.1"),
        of=made.asset,
        at=made.cycle,
        pair=pair,
        mode=made.control.mode,
    )
    return replace(made, reports=reports(report))
