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
"""What is longer is a slip of the finger, and nobody would notice for months."""
WATCHDOG_SECONDS = 60.0
"""A run of the watchdog that began before the stop may take so long until it starts nothing any more."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def span(text: str) -> timedelta:
    """A length of time as an operator types it: 90s, 30m, 2h, 1d, 1h30m.

    Raises:
        argparse.ArgumentTypeError: it is none, or no sensible one.
    """
    if not re.fullmatch(r"(\d{1,9}[smhd])+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: write it like 90s, 30m, 2h or 1d")
    parts = re.findall(r"(\d+)([smhd])", text)
    length = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta(0))
    if not timedelta(0) < length <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r}: it must be more than nothing, and 30d at most")
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
    parser.add_argument("--why", default="", help="what the logs will say of it")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _stop(given: argparse.Namespace, tools: Tools) -> int:
    supervisor = _supervisor(tools)
    look = supervisor.look()
    planned = tools.clock.now() + given.length
    if look.is_held:
        _say(tools, f"main_app (pid {look.holder}) will stop; it finishes first what it has in hand.")
    else:
        _say(tools, "main_app does not run, and stays down.")
    _say(
        tools,
        f"Until {_time(planned)} watchdog and caretakers stand down. What is open at the exchange stays "
        "open, and nothing is bought or sold by the bot.",
    )
    if look.maintenance is not None:
        _say(tools, f"That takes the place of the stop until {_time(look.maintenance.until)}.")
    if not tools.confirmed("Stop?", yes=given.yes):
        _say(tools, "Nothing was changed.")
        return 1
    until = tools.clock.now() + given.length
    why = given.why.strip() or "stopped by the operator"
    maintenance.begin(
        tools.settings.state_dir, Maintenance(until=until, who=tools.who, why=f"{tools.who}: {why}")
    )
    problem = _down(tools, supervisor)
    _note(tools, f"stopped until {_time(until)}, because: {why}" + (f"; {problem}" if problem else ""))
    if problem is not None:
        _say(tools, f"main_app could not be stopped: {problem}.")
        return 1
    _say(tools, f"Stopped until {_time(until)}; then the watchdog starts it again. ./bot start does now.")
    return 0


def _down(tools: Tools, supervisor: Supervisor) -> str | None:
    """Bring main_app down, also one that a run of the watchdog was just starting. Returns why it did not
    work."""
    problem = _end(tools, supervisor)
    if problem is None and _watchdog_is_over(tools):
        problem = _end(tools, supervisor)
    supervisor.remember(replace(supervisor.memory(), was_running=False))
    return problem


def _end(tools: Tools, supervisor: Supervisor) -> str | None:
    with tools.console.status("main_app is asked to stop") as status:
        ended = supervisor.end(lambda seconds: status.update(f"main_app is asked to stop: {seconds:.0f} s"))
    if ended.why_not is None and ended.pid is not None:
        _say(tools, _told(ended))
    return ended.why_not


def _told(ended: Ended) -> str:
    how = "" if ended.how != "SIGKILL" else ", by SIGKILL: it did not react; its next start settles that"
    return f"main_app (pid {ended.pid}) ended after {ended.seconds:.1f} s{how}."


def _watchdog_is_over(tools: Tools) -> bool:
    """Wait for a watchdog that runs, for it may have looked before maintenance began. False if none ran."""
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
        _say(tools, f"main_app runs already (pid {look.holder}).")
        _say_mode(tools)
        return 0
    if look.maintenance is not None:
        _say(tools, f"The stop until {_time(look.maintenance.until)} will end now ({look.maintenance.why}).")
    if memory.left_down_at is not None:
        _say(tools, f"The watchdog will forget why it was left down at {_time(memory.left_down_at)}.")
    _say(tools, "main_app will be started, and trade as the mode and the assets allow.")
    if not tools.confirmed("Start?", yes=given.yes):
        _say(tools, "Nothing was changed.")
        return 1
    maintenance.end(tools.settings.state_dir)
    supervisor.remember(Memory(was_running=look.is_held))
    with tools.console.status("main_app is started"):
        started = supervisor.start()
    return _after_start(tools, supervisor, started)


def _after_start(tools: Tools, supervisor: Supervisor, started: Started) -> int:
    if started.exit_code is not None:
        _note(tools, f"main_app was started and ended at once with exit code {started.exit_code}")
        _say(tools, f"main_app ended at once with exit code {started.exit_code}: {started.last_words}")
        return 1
    supervisor.remember(Memory(was_running=True, last_start_at=tools.clock.now()))
    _note(tools, f"main_app was started: pid {started.pid}" if started.by_us else "main_app was running")
    _say(tools, f"main_app runs (pid {started.pid}): tail -f {tools.settings.log_dir / 'main_app.log'}")
    beat = supervisor.look().beat
    if beat is not None and beat.pid == started.pid and beat.waiting_for is not None:
        _say(tools, f"It waits, and trades as soon as this is put right: {beat.waiting_why}.")
        return 1
    _say_mode(tools)
    return 0


def _say_mode(tools: Tools) -> None:
    """A mode that keeps it from buying would be a surprise."""
    with suppress(DatabaseUnavailable, StartRefused):
        control = tools.store.transaction(lambda tx: tx.control())
        if control.mode is not Mode.RUN:
            because = f" ({control.mode_reason})" if control.mode_reason else ""
            _say(tools, f"The mode is {control.mode}{because}: ./bot resume lets it buy again.")


def _supervisor(tools: Tools) -> Supervisor:
    tools.settings.state_dir.mkdir(parents=True, exist_ok=True)
    return Supervisor(tools.settings, tools.clock)


def _note(tools: Tools, effect: str) -> None:
    """The audit row; the database may be what the maintenance is about."""
    try:
        tools.store.transaction(lambda tx: tools.note(tx, None, effect))
    except (DatabaseUnavailable, StartRefused) as error:
        _say(tools, f"Not noted in the audit table: {error}")


def _say(tools: Tools, line: str) -> None:
    formatting.tell(tools.console, line)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


COMMANDS: dict[str, Command] = {
    "stop": Command(
        help="stop main_app for a while; watchdog and caretakers stand down until it is over",
        add_arguments=_stop_arguments,
        run=_stop,
    ),
    "start": Command(
        help="end a stop before its time, or what the watchdog made of too many crashes; start main_app",
        add_arguments=_start_arguments,
        run=_start,
    ),
}
