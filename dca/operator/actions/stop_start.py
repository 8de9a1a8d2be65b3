"""./bot stop, start."""

import argparse
import re
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from dca.core.errors import DatabaseUnavailable, StartRefused
from dca.core.model import Mode
from dca.operator import formatting
from dca.operator.session import Command, Tools
from dca.runtime import maintenance
from dca.runtime.maintenance import Maintenance
from dca.watchdog.process import Ended, Started, Supervisor, is_locked, wait_until
from dca.watchdog.rules import Memory

LONGEST = timedelta(days=30)
"""Longest stop accepted: anything longer is a typo that nobody would notice for months."""
WATCHDOG_SECONDS = 60.0
"""How long to wait for a watchdog run that began before the stop and could still start main_app."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """Parse a duration as an operator types it: 90s, 30m, 2h, 1d, 1h30m.

    Raises:
        argparse.ArgumentTypeError: not a duration, zero, or longer than LONGEST.
    """
    if not re.fullmatch(r"(\d{1,9}[smhd])+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration: write it like 90s, 30m, 2h or 1d")
    parts = re.findall(r"(\d+)([smhd])", text)
    length = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta(0))
    if not timedelta(0) < length <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r}: must be greater than zero and at most 30d")
    return length


def _stop_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--for",
        dest="length",
        type=span,
        default=timedelta(hours=1),
        metavar="TIME",
        help="how long, like 90s, 30m, 2h, 1d (default: 1h)",
    )
    parser.add_argument("--why", default="", help="the reason, written to the logs")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _stop(given: argparse.Namespace, tools: Tools) -> int:
    supervisor = _supervisor(tools)
    look = supervisor.look()
    planned = tools.clock.now() + given.length
    if look.is_held:
        _say(tools, f"main_app (pid {look.holder}) will stop after finishing its current work.")
    else:
        _say(tools, "main_app is not running and stays stopped.")
    _say(
        tools,
        f"The watchdog and the caretakers stand down until {_time(planned)}. Orders open at the exchange "
        "stay open and may fill; the bot sends no orders.",
    )
    if look.maintenance is not None:
        _say(tools, f"This replaces the current stop until {_time(look.maintenance.until)}.")
    if not tools.confirmed("Stop?", yes=given.yes):
        _say(tools, "Nothing was changed.")
        return 1
    until = tools.clock.now() + given.length
    why = given.why.strip() or "stopped by the operator"
    maintenance.begin(
        tools.settings.state_dir, Maintenance(until=until, who=tools.who, why=f"{tools.who}: {why}")
    )
    problem = _down(tools, supervisor)
    _note(tools, f"stopped until {_time(until)}, reason: {why}" + (f"; {problem}" if problem else ""))
    if problem is not None:
        _say(tools, f"main_app could not be stopped: {problem}.")
        return 1
    _say(tools, f"Stopped until {_time(until)}; then the watchdog starts it again. To start now: ./bot start")
    return 0


def _down(tools: Tools, supervisor: Supervisor) -> str | None:
    """Stop main_app, also one that a watchdog run was just starting. Returns why that failed, or None."""
    problem = _end(tools, supervisor)
    if problem is None and _watchdog_is_over(tools):
        problem = _end(tools, supervisor)
    supervisor.remember(replace(supervisor.memory(), was_running=False))
    return problem


def _end(tools: Tools, supervisor: Supervisor) -> str | None:
    with tools.console.status("stopping main_app") as status:
        ended = supervisor.end(lambda seconds: status.update(f"stopping main_app: {seconds:.0f} s"))
    if ended.why_not is None and ended.pid is not None:
        _say(tools, _ended_line(ended))
    return ended.why_not


def _ended_line(ended: Ended) -> str:
    how = (
        ""
        if ended.how != "SIGKILL"
        else ", by SIGKILL: it did not respond; its next start settles open orders"
    )
    return f"main_app (pid {ended.pid}) ended after {ended.seconds:.1f} s{how}."


def _watchdog_is_over(tools: Tools) -> bool:
    """Wait for a running watchdog, which may have begun before the stop. Returns whether one was running."""
    lock = tools.settings.state_dir / "watchdog.lock"
    if not is_locked(lock):
        return False
    with tools.console.status("waiting for the watchdog's run to end"):
        wait_until(lambda: not is_locked(lock), WATCHDOG_SECONDS, tools.clock)
    return True


def _start_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _start(given: argparse.Namespace, tools: Tools) -> int:
    supervisor = _supervisor(tools)
    look, memory = supervisor.look(), supervisor.memory()
    if look.is_held and look.maintenance is None:
        _say(tools, f"main_app is already running (pid {look.holder}).")
        _say_mode(tools)
        return 0
    if look.maintenance is not None:
        _say(tools, f"This ends the stop until {_time(look.maintenance.until)} ({look.maintenance.why}).")
    if memory.left_down_at is not None:
        _say(tools, f"This resets the watchdog's crash count; it gave up at {_time(memory.left_down_at)}.")
    _say(tools, "main_app will start and trade as the mode and the assets allow.")
    if not tools.confirmed("Start?", yes=given.yes):
        _say(tools, "Nothing was changed.")
        return 1
    maintenance.end(tools.settings.state_dir)
    supervisor.remember(Memory(was_running=look.is_held))
    with tools.console.status("starting main_app"):
        started = supervisor.start()
    return _after_start(tools, supervisor, started)


def _after_start(tools: Tools, supervisor: Supervisor, started: Started) -> int:
    if started.exit_code is not None:
        _note(tools, f"main_app started and exited immediately with code {started.exit_code}")
        _say(tools, f"main_app exited immediately with code {started.exit_code}: {started.last_words}")
        return 1
    supervisor.remember(Memory(was_running=True, last_start_at=tools.clock.now()))
    _note(tools, f"main_app was started: pid {started.pid}" if started.by_us else "main_app was running")
    _say(tools, f"main_app is running (pid {started.pid}): tail -f {tools.settings.log_dir / 'main_app.log'}")
    beat = supervisor.look().beat
    if beat is not None and beat.pid == started.pid and beat.waiting_for is not None:
        _say(tools, f"It is waiting, and trades as soon as this is fixed: {beat.waiting_why}.")
        return 1
    _say_mode(tools)
    return 0


def _say_mode(tools: Tools) -> None:
    """Print the mode if it restricts trading."""
    with suppress(DatabaseUnavailable, StartRefused):
        control = tools.store.transaction(lambda tx: tx.control())
        if control.mode is not Mode.RUN:
            because = f" ({control.mode_reason})" if control.mode_reason else ""
            _say(tools, f"The mode is {control.mode}{because}: ./bot resume lets it buy again.")


def _supervisor(tools: Tools) -> Supervisor:
    tools.settings.state_dir.mkdir(parents=True, exist_ok=True)
    return Supervisor(tools.settings, tools.clock)


def _note(tools: Tools, effect: str) -> None:
    """Write the audit row, if the database answers: maintenance may be about the database itself."""
    try:
        tools.store.transaction(lambda tx: tools.note(tx, None, effect))
    except (DatabaseUnavailable, StartRefused) as error:
        _say(tools, f"Not recorded in operator_actions: {error}")


def _say(tools: Tools, line: str) -> None:
    formatting.tell(tools.console, line)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


COMMANDS: dict[str, Command] = {
    "stop": Command(
        help="stop main_app, watchdog and caretakers for a limited time",
        add_arguments=_stop_arguments,
        run=_stop,
    ),
    "start": Command(
        help="start main_app: ends a stop early, and a crash loop's stop",
        add_arguments=_start_arguments,
        run=_start,
    ),
}
