"""./bot status: one screen of what every asset is doing, and whether everything is alive."""

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from dca.alerts.conditions import BEAT_LIMIT
from dca.core.errors import DcaError
from dca.core.model import CycleStatus, Mode
from dca.core.operations import Result
from dca.operator import formatting, window
from dca.operator.asset_settings.assets import NO_ASSET
from dca.operator.session import Command, Tools
from dca.operator.views import staleness, status_rows
from dca.operator.views.snapshot import Eye, Overview
from dca.operator.views.staleness import Caretaker
from dca.operator.views.status_rows import Row
from dca.operator.views.status_table import forms
from dca.operator.window import Cut
from dca.runtime.settings import Venue

WATCH_SECONDS = 2.0
LEAST_WATCH_SECONDS = 0.2
_VENUE_STYLE = {Venue.LIVE: "bold white on red", Venue.PAPER: "bold", Venue.LOCAL: "bold"}


def _arguments(parser: argparse.ArgumentParser) -> None:
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="everything, for programs")
    how.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=_seconds,
        const=WATCH_SECONDS,
        help=f"again and again (default every {WATCH_SECONDS:g} s), until Ctrl-C",
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_WATCH_SECONDS <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, from {LEAST_WATCH_SECONDS}")
    return value


def _run(given: argparse.Namespace, tools: Tools) -> int:
    eye = Eye(tools)
    if given.watch is not None:
        return _watch(eye, tools, given.watch)
    look = eye.look()
    if given.json:
        formatting.print_json(as_json(look))
    else:
        height = tools.console.height - 1 if sys.stdout.isatty() else None  # the prompt comes below
        tools.console.print(screen(look, tools.console, height), crop=False)
    return 1 if staleness.troubles(look) else 0


def _watch(eye: Eye, tools: Tools, seconds: float) -> int:
    """Ends with Ctrl-C, which is no failure."""
    try:
        if not sys.stdout.isatty():
            while True:
                tools.console.print(_screen_or_why_not(eye, tools.console, None), crop=False)
                time.sleep(seconds)
        with Live(console=tools.console, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
            while True:
                seen = _screen_or_why_not(eye, tools.console, tools.console.height)
                live.update(Cut(seen, instead="./bot status, or a taller window"), refresh=True)
                time.sleep(seconds)
    except KeyboardInterrupt:
        return 0


def _screen_or_why_not(eye: Eye, console: Console, height: int | None) -> RenderableType:
    try:
        return screen(eye.look(), console, height)
    except DcaError as error:
        return Text(f"status: {error}", style="red")


# ---- the screen --------------------------------------------------------------------------------------------


def screen(look: Overview, console: Console, height: int | None = None) -> RenderableType:
    """All of it, made for 80 columns and for more; in short form where `height` asks for it."""
    found = status_rows.rows(look)
    above, below = [*_header(look), *_wrong(look)], [*_footnotes(look, found)]
    if not found:
        return Group(*above, Text(), Text(NO_ASSET), Text(), *below)

    def whole(made: Table) -> RenderableType:
        open_ones = Text(f"Together: {status_rows.valued(look)}.")
        return Group(*above, Text(), formatting.whole(console, made), open_ones, Text(), *below)

    return whole(window.chosen(console, forms(found, look.now), whole, height))


def _header(look: Overview) -> Iterator[RenderableType]:
    title = Text.assemble((f" {look.venue.value} ", _VENUE_STYLE[look.venue]), "  ", _about_mode(look))
    title.append(f"   {look.now:%Y-%m-%d %H:%M:%S} UTC", style="dim")
    yield title
    if look.maintenance is not None:
        pause = look.maintenance
        words = f"maintenance until {pause.until:%m-%d %H:%M} UTC, by {pause.who}: {pause.why}"
        yield Text(words, style="yellow")
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, text in _facts(look):
        grid.add_row(name, text)
    yield grid


def _about_mode(look: Overview) -> Text:
    control = look.books.control
    if control.mode is Mode.RUN:
        return Text("trading")
    what = "no buys" if control.mode is Mode.EXITS_ONLY else "no orders"
    return Text(f"{control.mode}: {what} ({control.mode_reason or 'no reason given'})", style="yellow")


def _facts(look: Overview) -> Iterator[tuple[str, Text]]:
    yield "main app", _about_main_app(look)
    yield "streams", _about_streams(look)
    yield "caretakers", _about_caretakers(look)
    yield "mail", _about_mail(look)
    incidents = look.books.incidents
    yield "incidents", Text(f"{len(incidents)} open" if incidents else "none open")


def _about_main_app(look: Overview) -> Text:
    beat, words = look.beat, []
    if not look.is_running:
        last = "" if beat is None else f", last beat {_ago(beat.beat_at, look.now)}"
        return Text(f"not running{last}", style="" if look.maintenance is not None else "red")
    if beat is None:
        return Text("running, no beat yet", style="red")
    words = [
        f"up {formatting.span(look.now - beat.started_at)} "
        f"since {formatting.when(beat.started_at, look.now)} UTC",
        f"beat {_ago(beat.beat_at, look.now)}",
        f"settled {_ago(beat.last_settle_at, look.now)}",
    ]
    if beat.waiting_for is not None:
        words[2:] = [f"waits: {beat.waiting_why}"]
    elif beat.troubles:
        words.append("does not work: " + ", ".join(beat.troubles))
    late = look.now - beat.beat_at > BEAT_LIMIT
    return Text(", ".join(words), style="red" if late else "yellow" if beat.troubles else "")


def _about_streams(look: Overview) -> Text:
    beat = look.beat
    if beat is None or not look.is_running:
        return Text("-")
    lag = "" if beat.quote_lag_seconds is None else f", {beat.quote_lag_seconds:.1f} s late"
    quotes = Text(f"newest quote {_ago(beat.last_quote_at, look.now)}{lag}")
    if not beat.quotes_connected:
        quotes = Text("quotes not connected", style="red")
    elif staleness.quotes_are_silent(look):
        quotes.stylize("red")
    orders = Text(f"order update {_ago(beat.last_order_update_at, look.now)}")
    if not beat.orders_connected:
        orders = Text("order updates not connected", style="red")
    return Text(", ").join([quotes, orders])


def _about_caretakers(look: Overview) -> Text:
    return Text(", ").join([_caretaker(each, look) for each in staleness.caretakers(look.books, look.now)])


def _caretaker(each: Caretaker, look: Overview) -> Text:
    short = each.name.removesuffix("_manager").removesuffix("_checker")
    if each.last_run_at is None:
        return Text(f"{short} never", style="red" if each.is_overdue and look.maintenance is None else "")
    result = "" if each.result is None or each.result is Result.DONE else f" ({each.result})"
    red = each.is_overdue and look.maintenance is None
    style = "red" if red else "yellow" if each.result is Result.FAILED else ""
    return Text(f"{short} {_ago(each.last_run_at, look.now)}{result.replace('_', ' ')}", style=style)


def _about_mail(look: Overview) -> Text:
    if look.mail_to is None:
        return Text("off (ALERT_EMAIL_* in .env)", style="yellow")
    last = look.books.last_mail
    sent = "none sent yet" if last is None else f"last sent {_ago(last.sent_at, look.now)}: {last.subject}"
    unsent = look.books.unsent_mails
    waiting = f", {unsent} waiting to be sent" if unsent else ""
    return Text(f"on, {sent}{waiting}", style="yellow" if unsent else "", overflow="ellipsis", no_wrap=True)


def _ago(at: datetime | None, now: datetime) -> str:
    return "never" if at is None else f"{formatting.span(now - at)} ago"


def _footnotes(look: Overview, found: list[Row]) -> Iterator[RenderableType]:
    if look.market.trouble is not None:
        yield Text(f"The exchange does not answer, so no bids are known: {look.market.trouble}", "yellow")
    for row in found:
        for line in _about(row, look.now):
            yield Text(f"{row.asset_symbol}: {line}")
    yield from _last_line(look)


def _last_line(look: Overview) -> Iterator[RenderableType]:
    """All is well only if nothing is wrong, and nothing is left to come about."""
    not_yet = staleness.not_yet(look)
    if staleness.troubles(look):
        return
    yield Text(
        f"Nothing is wrong, but: {'; '.join(not_yet)}." if not_yet else "All is well.",
        "" if not_yet else "green",
    )


def _wrong(look: Overview) -> Iterator[RenderableType]:
    """Above the table: a short terminal must not hide it."""
    for trouble in staleness.troubles(look):
        yield Text(f"WRONG: {trouble}", "red")


def _about(row: Row, now: datetime) -> Iterator[str]:
    if row.order_in_flight is not None:
        yield f"in flight: {row.order_in_flight}"
    if row.status is CycleStatus.COOLDOWN:
        ends = row.cooldown_ends_at
        until = (
            "now"
            if ends is None or ends <= now
            else f"until {ends:%H:%M:%S} UTC ({formatting.span(ends - now)})"
        )
        yield f"rests {until}, or until the next-buy price"
    if row.problem is not None:
        yield f"last problem: {row.problem}"


# ---- for programs ------------------------------------------------------------------------------------------


def as_json(look: Overview) -> dict[str, Any]:
    """Everything on the screen and more; names are stable, amounts are text, times ISO with Z."""
    control, beat, books = look.books.control, look.beat, look.books
    wrong, not_yet = staleness.troubles(look), staleness.not_yet(look)
    return {
        "at": formatting.iso(look.now),
        "ok": not wrong and not not_yet,
        "wrong": wrong,
        "not_yet": not_yet,
        "venue": look.venue.value,
        "mode": control.mode.value,
        "mode_reason": control.mode_reason,
        "maintenance": None if look.maintenance is None else formatting.record(look.maintenance),
        "main_app": {
            "is_running": look.is_running,
            "beat": None if beat is None else formatting.record(beat),
        },
        "caretakers": [formatting.record(each) for each in staleness.caretakers(books, look.now)],
        "mail": {
            "is_on": look.mail_to is not None,
            "last_sent_at": None
            if books.last_mail is None
            else formatting.plain_value(books.last_mail.sent_at),
            "last_subject": None if books.last_mail is None else books.last_mail.subject,
            "unsent": books.unsent_mails,
        },
        "incidents": [formatting.record(each) for each in books.incidents],
        "exchange_trouble": look.market.trouble,
        "assets": [_row_as_json(row, look.now) for row in status_rows.rows(look)],
    }


def _row_as_json(row: Row, now: datetime) -> dict[str, Any]:
    age = None if row.cycle_began_at is None else (now - row.cycle_began_at) // timedelta(seconds=1)
    return formatting.record(row, cycle_age_seconds=age)


COMMANDS: dict[str, Command] = {
    "status": Command(
        help="one screen: what every asset is doing, and whether everything is alive",
        add_arguments=_arguments,
        run=_run,
    )
}
