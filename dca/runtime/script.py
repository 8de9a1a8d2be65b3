"""How every script starts and ends: settings, log, lock, signals, exit code.

The one broad except of the project is here, where a script ends.
"""

import fcntl
import logging
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

from dca.core.errors import SettingsProblem, StartRefused, Unavailable
from dca.runtime import file_owner, startup_errors
from dca.runtime import settings as settings_module
from dca.runtime.log_files import LogFile
from dca.runtime.log_lines import LineFormatter, fact
from dca.runtime.settings import Settings

DONE, FAILED, BAD_SETTINGS = 0, 1, 2
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What asks a script to end: kill, Ctrl-C, a terminal that is closed."""
_ERRANDS = {"mail", "ping"}
"""Threads whose end stops nothing else: trading and its caretakers do not wait for them."""
_SHORTEST_SECRET = 8
"""Characters; a shorter one might be a part of any word."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class Context:
    """What a running script knows of its own life.

    `asked_to_stop`: why it ends in good order. `note_end` writes that down for the watchdog.
    """

    name: str
    settings: Settings
    stopping: threading.Event = field(default_factory=threading.Event)
    failed: bool = False
    asked_to_stop: str | None = None
    begins_anew: bool = False
    note_end: Callable[[str], None] = lambda _: None

    def stop(self, why: str) -> None:
        """End the script in good order."""
        self.begins_anew = False
        if self.asked_to_stop is None:
            self.asked_to_stop = why
            fact("stop", "stopping", why=why)
            self.stopping.set()

    def begin_anew(self, why: str) -> None:
        """End the script in good order and run it again, as the same process, which keeps the lock."""
        if not self.stopping.is_set():
            fact("stop", "begins anew", why=why)
            self.begins_anew = True
            self.stopping.set()

    def hidden(self, text: str) -> str:
        """The text without any of the secrets."""
        return _hidden(text, self.settings.secrets)


def run(name: str, work: Callable[[Context], None], *, seconds: float | None = None) -> int:
    """Run a script's work and return its exit code: 0 done, 1 failed, 2 settings.

    A second copy of the same script says so and is done. A script that takes longer than `seconds` is
    ended; whatever it was at is carried on by the next run.
    """
    keep_to_ourselves()
    try:
        settings = settings_module.load()
        _check_rights(settings)
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        _log_to(settings.log_dir / f"{name}.log", settings.secrets)
        lock = _lock(settings.state_dir / f"{name}.lock")
    except SettingsProblem as error:
        startup_errors.say(startup_errors.about_settings(name, error.problems))
        return BAD_SETTINGS
    except OSError as error:
        startup_errors.say(f"{name}: {error}: {file_owner.remedy(error)}")
        return BAD_SETTINGS
    if lock is None:
        print(f"{name}: already running ({_holder(settings.state_dir / f'{name}.lock')}), nothing to do")
        return DONE
    with lock:
        if seconds is not None:
            _end_after(name, seconds)
        context = Context(name=name, settings=settings)
        code = _guarded(context, work)
        if context.begins_anew and code == DONE:
            os.set_inheritable(lock.fileno(), True)
            logging.shutdown()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
        return code


def _check_rights(settings: Settings) -> None:
    """Raises:
    SettingsProblem: root would make files in a user's folder.
    """
    folders = (settings_module.ROOT, settings.state_dir, settings.log_dir)
    refusal = file_owner.refusal(folders, os.geteuid(), " ".join(sys.orig_argv))
    if refusal is not None:
        raise SettingsProblem([refusal])


def leave(code: int) -> NoReturn:
    """End the process. All that has to be closed is closed by now; taking the interpreter apart as well,
    module by module, would be a seventh of a caretaker's run."""
    logging.shutdown()
    for output in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            output.flush()
    os._exit(code)


def keep_to_ourselves() -> None:
    """From here on: files for this user alone, no memory on disk when the process dies, no keys of TLS."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # For a system that pipes memory into a program of its own, limit or not. (PR_SET_DUMPABLE would do as
    # well, but hides from the watchdog whether a hanging main_app holds the lock.)
    with suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0", encoding="ascii")
    settings_module.keep_no_tls_keys()


def _guarded(context: Context, work: Callable[[Context], None]) -> int:
    _handle_signals(context)
    _end_with_any_thread(context)
    try:
        work(context)
    except (StartRefused, Unavailable) as error:
        fact("stop", "cannot go on", level=logging.ERROR, why=str(error))
        return FAILED
    except Exception:
        logging.getLogger("dca").exception("crash - - a bug; the next start settles what is open")
        return FAILED
    return FAILED if context.failed else DONE


def _end_after(name: str, seconds: float) -> None:
    """A run that hangs must not keep the next ones away. Dying is always safe here (design.md 8)."""

    def end() -> None:
        logging.getLogger("dca").error("stop - - %s took longer than %g s and was ended", name, seconds)
        os._exit(FAILED)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


class _Guarded(LineFormatter):
    """Lines without any of the secrets, whoever put them in, and without letters that a terminal obeys."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub("?", _hidden(super().format(record), self._secrets))


def _hidden(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "***")
    return text


def _log_to(path: Path, secrets: tuple[str, ...]) -> None:
    """One file per script, and standard output unless that is the same file (cron's redirection)."""
    file = LogFile(path)
    handlers: list[logging.Handler] = [file]
    if not file.owns(1):
        handlers.append(logging.StreamHandler(sys.stdout))
    for handler in handlers:
        handler.setFormatter(_Guarded(secrets))
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    logging.getLogger("dca").setLevel(logging.INFO)
    # What these would say is told in our own words, once, where it is handled; and they may print headers.
    for noisy in ("websockets", "urllib3", "asyncio", "mysql"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    logging.raiseExceptions = False  # a full disk must not stop trading


def _lock(path: Path) -> IO[str] | None:
    """Hold the script's lock for as long as the process lives; None if another one does.

    Raises:
        OSError: the file cannot be opened.
    """
    file = _kept(path) or path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    with suppress(OSError):  # a full disk: the lock is held all the same
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    return file


def _kept(path: Path) -> IO[str] | None:
    """The lock's file, if this very process has it open since before it began anew."""
    with suppress(OSError):
        lock = path.stat()
        for number in sorted(int(each.name) for each in Path("/proc/self/fd").iterdir()):
            with suppress(OSError):
                if os.get_inheritable(number) and os.path.samestat(os.fstat(number), lock):
                    os.set_inheritable(number, False)
                    return os.fdopen(number, "a+", encoding="utf-8")
    return None


def _holder(path: Path) -> str:
    pid = path.read_text(encoding="utf-8").strip()
    return f"pid {pid}" if pid else "pid not known"


def _handle_signals(context: Context) -> None:
    """The first SIGTERM or Ctrl-C finishes what is in hand, a second one leaves at once. A terminal that is
    closed counts too, unless nohup said otherwise."""

    def handle(number: int, _frame: FrameType | None) -> None:
        if context.stopping.is_set() and not context.begins_anew:
            if context.asked_to_stop is not None:
                context.note_end(context.asked_to_stop)
            os._exit(128 + number)
        context.stop(signal.Signals(number).name)

    for each in STOP_SIGNALS:
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handle)


def _end_with_any_thread(context: Context) -> None:
    """A thread that dies takes the process with it: half a bot is worse than none. Except for an errand."""

    def died(args: threading.ExceptHookArgs) -> None:
        name = args.thread.name if args.thread is not None else "a thread"
        if name in _ERRANDS:
            logging.getLogger("dca").error(
                f"crash - - {name} died of a bug; the rest goes on",
                exc_info=(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback),
            )
            return
        logging.getLogger("dca").critical(
            f"crash - - {name} died of a bug; the next start settles what is open",
            exc_info=(args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback),
        )
        context.failed = True
        context.stopping.set()

    threading.excepthook = died
