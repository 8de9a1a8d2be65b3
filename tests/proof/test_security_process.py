"""Our own processes: what they leave readable, what they take from a hostile environment, what they log."""

import logging
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from dca.database.store import Store
from dca.runtime import script
from dca.runtime.settings import DatabaseSettings, parse
from tests.operating import NO_EXCHANGE
from tests.processes import ROOT, ROW, BotProcess, ExchangeProcess, eventually
from tests.test_secrets import tables

PLANTED = {
    "APCA_API_KEY_ID": "PKPLANTED0123456789",
    "APCA_API_SECRET_KEY": "planted-secret-key-0123456789",
    "DB_PASSWORD": "planted-db-password",
    "ALERT_EMAIL_SMTP_PASSWORD": "planted-mail-password",
    "HEARTBEAT_PING_URL": "http://127.0.0.1:9/planted-ping",
}
SETTINGS = {
    **PLANTED,
    "APCA_API_BASE_URL": "http://127.0.0.1:9",
    "DB_HOST": "localhost",
    "DB_USER": "dca",
    "DB_NAME": "dca",
    "ALERT_EMAIL_SENDER": "bot@example.com",
    "ALERT_EMAIL_RECEIVER": "you@example.com",
    "ALERT_EMAIL_SMTP_SERVER": "smtp.example.com",
}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    yield exchange
    exchange.stop()


def readable_by_others(folder: Path) -> list[str]:
    return [
        f"{file.relative_to(folder)} {file.stat().st_mode & 0o777:o}"
        for file in [folder, *folder.rglob("*")]
        if file.stat().st_mode & 0o077
    ]


def proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def listening(pid: int) -> set[str]:
    """The sockets of a process at which it takes connections, by their numbers in the kernel."""
    tables = [table for name in ("tcp", "tcp6") if (table := Path(f"/proc/net/{name}")).exists()]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    open_to_all = {line[9] for line in lines if line[3] == "0A"}
    held = {Path(fd).readlink().name for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return {number for number in open_to_all if f"socket:[{number}]" in held}


# ---- a whole bot in a hostile environment ----


def test_a_bot_started_anyhow_is_private_and_takes_no_detours(
    tmp_path: Path, exchange: ExchangeProcess, database: DatabaseSettings, store: Store
) -> None:
    """No PATH, the most open umask, dumps allowed, a proxy that is not there, keys of TLS to be written."""
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    bot = BotProcess(tmp_path, exchange.settings, database)
    hostile = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "ws_proxy"), "http://127.0.0.1:9")
    hostile |= {
        "SSLKEYLOGFILE": str(tmp_path / "tls"),
        "IFS": "/_.",
        "PATH": str(tmp_path),
        "TZ": "Asia/Tokyo",
    }
    environment = {**hostile, "DCA_ENV_FILE": bot.environment()["DCA_ENV_FILE"]}
    command = shlex.join([sys.executable, str(ROOT / "main_app.py")])
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"umask 0; ulimit -S -c unlimited 2>/dev/null; exec {command}"],
            cwd="/",
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        eventually(bot.is_trading, 30)
        limits = [line.split() for line in proc(process.pid, "limits").splitlines()]
        assert next(line for line in limits if "core" in line)[4:6] == ["0", "0"]
        assert int(proc(process.pid, "coredump_filter"), 16) == 0
        assert "Umask:\t0077" in proc(process.pid, "status")
        assert listening(process.pid) == set()
        assert exchange.settings.secret_key not in proc(process.pid, "cmdline") + proc(process.pid, "environ")
        done = [
            subprocess.run(
                ["/bin/sh", "-c", f"umask 0; exec {shlex.join([sys.executable, str(ROOT / name)])}"],
                cwd="/",
                env=environment,
                capture_output=True,
                timeout=60,
            )
            for name in ("order_manager.py",)
        ]
        assert [each.returncode for each in done] == [0], done
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not (tmp_path / "tls").exists()
    assert readable_by_others(tmp_path / "logs") == readable_by_others(tmp_path / "state") == []


# ---- error pages ----


class Mirror(BaseHTTPRequestHandler):
    """An error page, as proxies and debuggers make them: with everything that it was asked with."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        page = f"\x1b[2J502 for {self.path}\r\n{self.headers}".encode()
        self.send_response(502)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Quietly."""


def test_an_error_page_that_repeats_our_keys_leaves_them_nowhere(
    tmp_path: Path, database: DatabaseSettings, store: Store
) -> None:
    store.run_script(ROW.format(symbol="BTC/USD", base=20))
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as mirror:
        thread = Thread(target=mirror.serve_forever, args=(0.05,))
        thread.start()
        where = {"APCA_API_BASE_URL": f"http://127.0.0.1:{mirror.server_port}"}
        keys = {name: PLANTED[name] for name in ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY")}
        bot = BotProcess(tmp_path, NO_EXCHANGE, database, **where, **keys)
        done = bot.run("order_manager.py")
        mirror.shutdown()
        thread.join()
    told = "\n".join(
        [
            done.stdout,
            done.stderr,
            tables(store),
            *(file.read_text() for file in (tmp_path / "logs").iterdir()),
        ]
    )
    assert "502" in told, "the page was read at all"
    assert [value for value in (*keys.values(), "\x1b") if value in told] == []


def test_no_line_of_the_log_has_a_secret_or_obeys_a_terminal() -> None:
    """Whoever puts it there: the last thing that a line passes is the formatter of every script."""
    settings = parse(SETTINGS, env_file_mode=None)
    assert set(settings.secrets) == set(PLANTED.values())
    formatter = script._Guarded(settings.secrets)
    for secret in PLANTED.values():
        try:
            raise ValueError(f"it was {secret}")
        except ValueError:
            record = logging.LogRecord(
                "dca", logging.ERROR, "", 0, f"got {secret}\x1b[2J\x9b", None, sys.exc_info()
            )
        text = formatter.format(record)
        assert secret not in text and "***" in text and "Traceback" in text
        assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not any(secret in repr(settings) for secret in PLANTED.values())


# ---- the wrapper ----

SCRIPT = """
import os, sys
print("ran", sys.argv[1:], sorted(name for name in os.environ if name[:2] in ("PY", "LD")), os.umask(0))
"""
TRAP = "#!/bin/sh\necho trapped >> {}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "bot"
    (folder / "venv" / "bin").mkdir(parents=True)
    (folder / "venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / "run_script_wrapper.sh").write_bytes((ROOT / "run_script_wrapper.sh").read_bytes())
    (folder / "run_script_wrapper.sh").chmod(0o755)
    (folder / "job.py").write_text(SCRIPT)
    return folder


def traps(folder: Path) -> dict[str, str]:
    """An environment that runs something of its own wherever a shell or Python lets it."""
    trapped, place = folder / "trapped", folder / "traps"
    place.mkdir()
    programs = ("readlink", "dirname", "basename", "mkdir", "printf", "env", "python", "python3", "bash", "[")
    for name in programs:
        (place / name).write_text(TRAP.format(trapped))
        (place / name).chmod(0o755)
    (place / "start.sh").write_text(TRAP.format(trapped))
    code = f"open({str(trapped)!r}, 'a').write('trapped')\n"
    for name in ("sitecustomize", "usercustomize", "os", "dca"):
        (place / f"{name}.py").write_text(code)
    functions = {f"BASH_FUNC_{name}%%": f"() {{ echo trapped >> {trapped}; }}" for name in programs[:5]}
    return {
        **functions,
        "BASH_FUNC_exec%%": f"() {{ echo trapped >> {trapped}; }}",
        "PATH": str(place),
        "BASH_ENV": str(place / "start.sh"),
        "ENV": str(place / "start.sh"),
        "SHELLOPTS": "xtrace",
        "PS4": f"$(echo trapped >> {trapped})",
        "IFS": "/.",
        "CDPATH": str(place),
        "PYTHONPATH": str(place),
        "PYTHONSTARTUP": str(place / "os.py"),
        "PYTHONHOME": str(place),
        "PYTHONINSPECT": "1",
        "LD_LIBRARY_PATH": str(place),
        "LD_DEBUG": "",
    }


def test_the_wrapper_runs_only_what_it_was_asked_for(project: Path, tmp_path: Path) -> None:
    environment = traps(tmp_path)
    done = subprocess.run(
        ["/bin/sh", "-c", f"umask 0; exec {project}/run_script_wrapper.sh job.py a"],
        env=environment,
        cwd=tmp_path / "traps",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (project / "logs" / "job.log").read_text() == "ran ['a'] [] 63\n"
    assert not (tmp_path / "trapped").exists()
    assert readable_by_others(project / "logs") == []


def test_the_traps_work(project: Path, tmp_path: Path) -> None:
    """A script of the same kind without the wrapper's care falls into them."""
    environment = traps(tmp_path)
    naive = project / "naive.sh"
    naive.write_text(f"#!/bin/bash\nreadlink /\n{sys.executable} -c 0\n")
    naive.chmod(0o755)
    subprocess.run([naive], env=environment, capture_output=True, timeout=30)
    assert (tmp_path / "trapped").read_text().count("trapped") >= 2
