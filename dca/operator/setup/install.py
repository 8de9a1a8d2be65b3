"""./bot install, uninstall: from a folder with the program to a bot that cron keeps alive, and back.

Every step looks first and changes only what is not as it should be: a second run changes nothing.
"""

import argparse
import getpass
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import dca.runtime.settings
from dca.core.errors import DatabaseUnavailable, DcaError, SettingsProblem, StartRefused
from dca.database import create_database
from dca.database.store import SCHEMA_VERSION, Store
from dca.operator import formatting
from dca.operator.session import Command, Tools
from dca.operator.setup import crontab, env_file, env_questions, keys, migrate
from dca.operator.setup.env_questions import Question
from dca.runtime.hosts import is_loopback
from dca.runtime.log_files import FORGOTTEN_AFTER_SECONDS, KEPT, MAX_AGE_SECONDS, MAX_BYTES
from dca.runtime.settings import ROOT, DatabaseSettings, Settings
from dca.watchdog.process import is_locked

_ROTATION = (
    f"built in: {MAX_BYTES // 1_000_000} MB or {MAX_AGE_SECONDS / 86_400:.0f} days a file, {KEPT} old ones "
    f"kept {FORGOTTEN_AFTER_SECONDS / 86_400:.0f} days at most, 200 MB in all"
)

_EXAMPLE = ROOT / ".env.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """The file of settings as it is and as it should be. `before` is None where there is no file.

    `news`: names that it gets. `differing`: names for which the environment has another value.
    """

    path: Path
    before: str | None
    text: str
    values: Mapping[str, str]
    news: tuple[str, ...]
    differing: tuple[str, ...]
    mode: int | None

    @property
    def place(self) -> crontab.Place:
        own = self.path == ROOT / ".env"
        return crontab.Place(
            root=ROOT, log_dir=self.folders[0], env_file=None if own else self.path.absolute()
        )

    @property
    def folders(self) -> tuple[Path, Path]:
        logs = Path(self.values.get("LOG_DIR") or ROOT / "logs")
        return logs.absolute(), Path(self.values.get("STATE_DIR") or ROOT / "var").absolute()


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--print", action="store_true", help="show all it would do, and do none of it")
    parser.add_argument(
        "--yes", action="store_true", help="ask nothing; what .env lacks comes from the environment"
    )


def _install(given: argparse.Namespace, tools: Tools) -> int:
    if given.print:
        return _print(_planned(), tools)
    plan = _completed(_planned(), given, tools)
    settings = dca.runtime.settings.parse(plan.values, env_file_mode=env_questions.PRIVATE)
    if plan.differing:
        names = ", ".join(plan.differing)
        _say(tools, "note", f"the environment has other values for {names}; cron will not see those")
    done = [
        _step(tools, "settings", _write_settings(plan)),
        _step(tools, "folders", _make_folders(plan.folders)),
    ]
    with Store(settings.database) as store:
        done.append(_step(tools, "database", _make_database(store, settings.database, given, tools)))
        done.append(_step(tools, "tables", _migrate(store, settings.state_dir)))
        done.append(_step(tools, "crontab", _put_block(plan.place, given, tools)))
        _say(tools, "log rotation", _ROTATION)
        changes = [change for change in done if change is not None]
        if changes:
            store.transaction(lambda tx: tools.note(tx, None, "; ".join(changes)))
    if not changes:
        _say(tools, "install", "nothing was changed")
    return _doctor()


def _step(tools: Tools, name: str, change: str | None) -> str | None:
    """Tell what a step changed; None: nothing."""
    _say(tools, name, change or "unchanged")
    return None if change is None else f"{name}: {change}"


def _say(tools: Tools, name: str, text: str) -> None:
    formatting.fact(tools.console, f"{name}:", text)


# ---- settings ----


def _planned() -> _Plan:
    """What the file says, and what the environment adds to it: cron has no such environment."""
    path = dca.runtime.settings.env_file()
    example = _EXAMPLE.read_text(encoding="utf-8")
    try:
        before: str | None = path.read_bytes().decode("utf-8-sig")
        mode: int | None = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        before = mode = None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsProblem([f"{path} cannot be read: {error}"]) from error
    inside = {} if before is None else env_questions.without_examples(dca.runtime.settings.values_of(path))
    shown = env_questions.without_examples(dca.runtime.settings.values_of(_EXAMPLE)) if before is None else {}
    outside = dca.runtime.settings.from_environment(env_file.names_in(example))
    news = {name: value for name, value in outside.items() if name not in inside}
    return _Plan(
        path=path,
        before=before,
        text=env_file.with_values(example if before is None else before, news),
        values={**shown, **inside, **news},
        news=tuple(news),
        differing=tuple(name for name, value in outside.items() if inside.get(name, value) != value),
        mode=mode,
    )


def _completed(plan: _Plan, given: argparse.Namespace, tools: Tools) -> _Plan:
    """The plan with everything in it that the settings need, and with keys that are not refused.

    Raises:
        SettingsProblem: something is missing or wrong, and nobody can be asked.
    """
    problems, values = env_questions.problems_of(plan.values), plan.values
    is_somebody_there = not given.yes and sys.stdin.isatty()
    if problems and not is_somebody_there:
        raise SettingsProblem([*problems, f"nobody is asked: set these in {plan.path} or in the environment"])
    if problems:
        tools.console.print(f"{plan.path} lacks something. {keys.KEEPS}", markup=False)
        values = env_questions.asked(values, _ask, partial(formatting.tell, tools.console))
    left = env_questions.problems_of(values)
    if left:
        raise SettingsProblem(left)
    if is_somebody_there:
        values = keys.asked_until_good(values, tools, _ask)
    news = {name: value for name, value in values.items() if plan.values.get(name) != value}
    text = env_file.with_values(plan.text, news)
    return replace(plan, text=text, values=values, news=(*plan.news, *news))


def _ask(question: Question, kept: str) -> str:
    shown = "[kept]" if kept and question.secret else f"[{kept}]" if kept else ""
    prompt = f"{question.text} {shown}".rstrip() + ": "
    try:
        return (getpass.getpass(prompt) if question.secret else input(prompt)).strip()
    except EOFError:  # Ctrl-D
        raise KeyboardInterrupt from None


def _write_settings(plan: _Plan) -> str | None:
    if plan.text == plan.before and plan.mode == env_questions.PRIVATE:
        return None
    env_file.write(plan.path, plan.text)
    names = f" with {', '.join(dict.fromkeys(plan.news))}" if plan.news else ""
    return f"wrote {plan.path}{names}, mode 600"


def _make_folders(folders: tuple[Path, Path]) -> str | None:
    """For us alone; a folder elsewhere that somebody else made keeps its rights."""
    made = []
    try:
        for folder in folders:
            if not folder.exists():
                folder.mkdir(mode=0o700, parents=True)
                made.append(f"made {folder}")
            elif folder.parent == ROOT and stat.S_IMODE(folder.stat().st_mode) != 0o700:
                folder.chmod(0o700)
                made.append(f"{folder} is private now")
    except OSError as error:
        raise StartRefused(f"{error}: check LOG_DIR and STATE_DIR and their rights") from error
    return "; ".join(made) or None


# ---- database ----


def _make_database(
    store: Store, database: DatabaseSettings, given: argparse.Namespace, tools: Tools
) -> str | None:
    try:
        store.schema_version()
    except DatabaseUnavailable as error:
        socket = _roots_socket(database)
        question = f"{error}. Make database {database.name} and user {database.user} as the server's root?"
        if socket is None or not tools.confirmed(question, yes=given.yes):
            _say_statements(database)
            raise StartRefused(
                f"{error}: let an administrator run the statements above, with the password of .env, or "
                "put right the DB_ names, and start ./bot install again"
            ) from error
        create_database.make(database, socket)
        store.schema_version()
        return f"made {database.name} and its user {database.user}"
    return None


def _roots_socket(database: DatabaseSettings) -> str | None:
    """Where this machine's server takes its system's root without a password; None: it cannot be tried."""
    if os.geteuid() != 0 or not (database.socket or is_loopback(database.host)):
        return None
    places = [database.socket] if database.socket else create_database.SOCKETS
    return next((place for place in places if place and Path(place).is_socket()), None)


def _say_statements(database: DatabaseSettings) -> None:
    for statement in create_database.statements(database):
        print(f"  {statement};")  # as it is, to be copied: never wrapped


def _migrate(store: Store, state_dir: Path) -> str | None:
    version = store.schema_version()
    if version >= SCHEMA_VERSION:
        store.check_schema()
        return None
    if migrate.is_main_app_in_the_way(state_dir):
        raise StartRefused("the tables need a newer form and main_app is running: ./bot stop, then again")
    return f"applied {', '.join(migrate.apply(store))}"


def _is_running(state_dir: Path) -> bool:
    return is_locked(state_dir / "main_app.lock")


# ---- crontab ----


def _put_block(place: crontab.Place, given: argparse.Namespace, tools: Tools) -> str | None:
    program = crontab.program()
    if program is None:
        _say(tools, "note", f"{crontab.MISSING}, then ./bot install again")
        return None
    before = crontab.read(program)
    after = crontab.with_block(before, ROOT, crontab.block(place))
    moved = [each for each in crontab.gone(before) if crontab.block_in(after, each) is not None]
    for folder in moved:
        after = crontab.without_block(after, folder)
    if after == before:
        return None
    print(crontab.block(place).decode(), end="")
    also = "".join(f" (those of {folder} go: it is not there any more)" for folder in moved)
    if not tools.confirmed(f"Put these lines into the crontab of {tools.who}{also}?", yes=given.yes):
        _say(tools, "note", "nothing keeps the bot alive until these lines are in it")
        return None
    crontab.write(program, after)
    return f"the lines are in the crontab of {tools.who}"


# ---- --print, doctor, uninstall ----


def _print(plan: _Plan, tools: Tools) -> int:
    """Everything, with no secret in it, and none of it done."""
    lacking = env_questions.names_to_ask(plan.values)
    _say(tools, "settings", f"{plan.path}, mode 600" + ("" if plan.before is not None else ", to be made"))
    if plan.news:
        _say(tools, "settings", f"from the environment: {', '.join(plan.news)}")
    if lacking:
        _say(tools, "settings", f"asked for: {', '.join(lacking)}")
    for folder in plan.folders:
        _say(tools, "folder", f"{folder}, mode 700")
    _print_database(plan, tools)
    program, block = crontab.program(), crontab.block(plan.place)
    if program is None:
        _say(tools, "crontab", f"{crontab.MISSING}; then this block for {tools.who}:")
    else:
        there = crontab.block_in(crontab.read(program), ROOT)
        what = "has it already" if there == block else "gets it" if there is None else "gets it anew"
        _say(tools, "crontab", f"this block; the crontab of {tools.who} {what}:")
    print(block.decode(), end="")
    _say(tools, "log rotation", _ROTATION)
    _say(tools, "doctor", "./bot doctor")
    return 0


def _print_database(plan: _Plan, tools: Tools) -> None:
    names = {"DB_HOST": "localhost", "DB_USER": "dca", "DB_NAME": "dca_bot_db", **plan.values}
    database = DatabaseSettings(
        host=names["DB_HOST"],
        port=0,
        user=names["DB_USER"],
        password="",
        name=names["DB_NAME"],
        socket=names.get("DB_SOCKET"),
    )
    _say(tools, "database", f"{database.name}; if {database.user} cannot log in, as the server's root:")
    _say_statements(database)
    _say(tools, "tables", f"{_migrations_to_apply(plan) or 'nothing to do'}")


def _migrations_to_apply(plan: _Plan) -> str:
    version = 0
    with suppress(SettingsProblem, DatabaseUnavailable):
        settings = dca.runtime.settings.parse(plan.values, env_file_mode=env_questions.PRIVATE)
        with Store(settings.database) as store:
            version = store.schema_version()
    return ", ".join(file.stem for file in migrate.files() if int(file.name[:4]) > version)


def _doctor() -> int:
    sys.stdout.flush()
    return subprocess.run([sys.executable, "-m", "dca.operator", "doctor"], cwd=ROOT).returncode


def _uninstall_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _uninstall(given: argparse.Namespace, tools: Tools) -> int:
    settings = _settings_or_none(tools)
    change = _take_block(given, tools)
    _say(tools, "crontab", change or "unchanged: no lines of this installation are in it")
    path = dca.runtime.settings.env_file()
    name = "the database" if settings is None else f"the database {settings.database.name}"
    _say(tools, "what stays", f"{path}, {name}, the logs, the programs")
    if _is_running(ROOT / "var" if settings is None else settings.state_dir):
        _say(tools, "main_app", "still runs, and nothing starts it again when it ends; ./bot stop ends it")
    if change is not None and settings is not None:
        with suppress(DcaError), Store(settings.database) as store:
            store.transaction(lambda tx: tools.note(tx, None, change))
    return 0


def _settings_or_none(tools: Tools) -> Settings | None:
    try:
        return tools.settings
    except SettingsProblem:
        return None


def _take_block(given: argparse.Namespace, tools: Tools) -> str | None:
    program = crontab.program()
    before = b"" if program is None else crontab.read(program)
    found = crontab.block_in(before, ROOT)
    if program is None or found is None:
        return None
    print(found.decode(errors="replace"), end="")
    if not tools.confirmed(f"Take these lines out of the crontab of {tools.who}?", yes=given.yes):
        raise StartRefused("the crontab was left alone")
    crontab.write(program, crontab.without_block(before, ROOT))
    return f"the lines are out of the crontab of {tools.who}"


COMMANDS = {
    "install": Command(
        help="ask for what .env lacks, make the tables and the crontab's block, then doctor",
        add_arguments=_arguments,
        run=_install,
    ),
    "uninstall": Command(
        help="take the crontab's block away; database, logs and .env stay",
        add_arguments=_uninstall_arguments,
        run=_uninstall,
    ),
}
