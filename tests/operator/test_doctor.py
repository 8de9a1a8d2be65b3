"""./bot doctor: each check by itself, and the whole of it where nothing, or little, is there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from dca.alerts.conditions import MEGABYTE, PERIODS, Disk, Look, findings
from dca.core.model import Account, CycleStatus, Mode
from dca.core.operations import Server
from dca.database.store import SCHEMA_VERSION, Store
from dca.operator.setup import cron_checks, crontab, doctor_checks
from dca.operator.setup.doctor_checks import Level, Line
from dca.runtime.maintenance import Maintenance
from dca.runtime.settings import DatabaseSettings
from tests.builders import NOW, SYMBOL, D, asset, done, holding, quote, rules, snapshot
from tests.conftest import Server as DatabaseServer
from tests.looking import CONTROL, books, overview, run
from tests.operating import NO_EXCHANGE, Operator
from tests.processes import ROOT, ROW, ExchangeProcess
from tests.trading.test_main_app import BY_HAND

PLACE = crontab.Place(root=Path("/srv/dca"), log_dir=Path("/srv/dca/logs"), env_file=None)


def account(power: str) -> Account:
    return Account(
        id="account",
        status="ACTIVE",
        crypto_status="ACTIVE",
        trading_blocked=False,
        account_blocked=False,
        trade_suspended_by_user=False,
        non_marginable_buying_power=D(power),
    )


def server(**changes: Any) -> Server:
    values: dict[str, Any] = {
        "version": "10.11.4-MariaDB",
        "time_zone": "SYSTEM",
        "system_time_zone": "UTC",
        "utc": NOW,
        "session_now": NOW,
        "flush_log_at_trx_commit": 1,
        "user": "dca@localhost",
        "connections": 151,
        "user_connections": 0,
    }
    return Server(**{**values, **changes})


def levels(lines: list[Line]) -> list[Level]:
    return [line.level for line in lines]


def says(lines: list[Line]) -> str:
    return " | ".join(f"{line.level} {line.name}: {line.fact} -> {line.remedy}" for line in lines)


# ---- one check at a time -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free_megabytes", "total_megabytes"),
    [(400, 5_000), (510, 5_000), (510, 100_000), (4_000, 100_000), (5_200, 200_000), (90_000, 100_000)],
)
def test_doctor_and_mail_agree_on_a_disk(free_megabytes: int, total_megabytes: int) -> None:
    disk = Disk(folder="/x", free=free_megabytes * MEGABYTE, total=total_megabytes * MEGABYTE)
    look = Look(now=datetime.now(UTC), books=None, disks=[disk])
    mailed = any(each.name == "disk full" for each in findings(look))
    level = Level.FAIL if mailed else Level.OK
    assert doctor_checks.of_disk("disk", disk).level is level


@pytest.mark.parametrize(("free_megabytes", "level"), [(4_000, Level.FAIL), (5_200, Level.OK)])
def test_a_large_disk_is_full_below_five_gigabytes(free_megabytes: int, level: Level) -> None:
    disk = Disk(folder="/x", free=free_megabytes * MEGABYTE, total=200_000 * MEGABYTE)
    assert doctor_checks.of_disk("disk", disk).level is level


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("10.6.0-MariaDB", Level.OK),
        ("5.5.5-10.11.6-MariaDB-0+deb12u1", Level.OK),
        ("10.5.23-MariaDB", Level.FAIL),
        ("8.0.19", Level.OK),
        ("8.0.18", Level.FAIL),
        ("5.7.44-log", Level.FAIL),
        ("9.1.0", Level.OK),
    ],
)
def test_version_of_the_server(version: str, level: Level) -> None:
    assert doctor_checks.of_version(version).level is level


def test_time_zones() -> None:
    assert levels(doctor_checks.of_time_zones(server(), NOW)) == [Level.OK, Level.OK]
    berlin = doctor_checks.of_time_zones(server(system_time_zone="CEST"), NOW)
    assert levels(berlin) == [Level.WARN, Level.OK] and "CEST" in berlin[0].fact
    ours = server(session_now=NOW + timedelta(hours=2))
    assert levels(doctor_checks.of_time_zones(ours, NOW))[0] is Level.FAIL
    slow = doctor_checks.of_time_zones(server(), NOW + timedelta(seconds=6))
    assert levels(slow) == [Level.OK, Level.WARN] and "-6.0 s" in slow[1].fact


def test_durability() -> None:
    assert doctor_checks.of_durability(server()).level is Level.OK
    assert doctor_checks.of_durability(server(flush_log_at_trx_commit=2)).level is Level.WARN


GRANTS: list[tuple[list[str], list[Level]]] = [
    (
        ["GRANT USAGE ON *.* TO `dca`@`localhost`", "GRANT ALL PRIVILEGES ON `dca\\_bot`.* TO `dca`@`x`"],
        [Level.OK],
    ),
    (["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], [Level.OK, Level.WARN]),
    (["GRANT SELECT, INSERT, UPDATE, DELETE ON `dca_bot`.* TO `dca`@`%`"], [Level.WARN]),
    (
        ["GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES ON `dca_%`.* TO `dca`@`%`"],
        [Level.OK],
    ),
    (["GRANT SELECT, INSERT ON `dca_bot`.* TO `dca`@`%`"], [Level.FAIL]),
    (["GRANT ALL PRIVILEGES ON `other`.* TO `dca`@`%`"], [Level.FAIL]),
    (["GRANT ALL PRIVILEGES ON `dca_bot`.`dca_assets` TO `dca`@`%`"], [Level.FAIL]),
    (["GRANT ALL PRIVILEGES ON `d__\\_b_t`.* TO `dca`@`%`"], [Level.OK]),
    (["GRANT ALL PRIVILEGES ON `dcaxbot`.* TO `dca`@`%`"], [Level.FAIL]),
    (["GRANT ALL PRIVILEGES ON `dca\\_bo\\_`.* TO `dca`@`%`"], [Level.FAIL]),
    (["GRANT `trader` TO `dca`@`%`", "GRANT USAGE ON *.* TO `dca`@`%`"], [Level.WARN]),
    (["GRANT SELECT, INSERT, UPDATE, DELETE ON *.* TO `dca`@`%`"], [Level.WARN, Level.WARN]),
    (
        [
            "GRANT USAGE ON *.* TO `dca`@`%` WITH MAX_QUERIES_PER_HOUR 3600 MAX_USER_CONNECTIONS 30",
            "GRANT ALL PRIVILEGES ON `dca_bot`.* TO `dca`@`%`",
        ],
        [Level.OK, Level.FAIL],
    ),
]


@pytest.mark.parametrize(("grants", "expected"), GRANTS)
def test_grants(grants: list[str], expected: list[Level]) -> None:
    assert levels(doctor_checks.of_grants(grants, "dca_bot")) == expected


@pytest.mark.parametrize(
    ("limit", "level"), [(1, Level.FAIL), (2, Level.WARN), (11, Level.WARN), (12, Level.OK), (151, Level.OK)]
)
def test_connections_are_compared_with_what_is_needed(limit: int, level: Level) -> None:
    line = doctor_checks.of_connections(limit, assets=6, workers=16)
    assert (line.name, line.level) == ("connections", level)
    assert f"grants {limit}" in line.fact
    assert (line.remedy is None) == (level is Level.OK)


def test_missing_rights_are_named() -> None:
    line = doctor_checks.of_grants(["GRANT SELECT, INSERT ON `dca_bot`.* TO `dca`@`%`"], "dca_bot")[0]
    assert "UPDATE, DELETE on dca_bot" in line.fact


def of_crontab(content: bytes, place: crontab.Place) -> Line:
    """What is said of this installation's own lines."""
    return next(cron_checks.of_crontab(content, place))


def test_crontab() -> None:
    block = crontab.block(PLACE)
    mine = b"# mine\n0 5 * * * backup\n"
    assert of_crontab(mine + block, PLACE).level is Level.OK
    old = block.replace(b"*/5", b"*/7")
    changed = of_crontab(mine + old, PLACE)
    assert changed.level is Level.WARN and "differs" in changed.fact
    none = of_crontab(mine, PLACE)
    assert none.level is Level.WARN and "nothing of ours" in none.fact
    names = dict.fromkeys(name for _, name in crontab.JOBS)
    lines = [f"* * * * * /v/python /srv/dca/{name}.py\n".encode() for name in names]
    assert of_crontab(b"".join(lines), PLACE).level is Level.OK
    some = of_crontab(b"#" + b"".join(lines), PLACE)
    assert some.fact == f"missing: {next(iter(names))}"
    others = b"".join(lines).replace(b"/srv/dca/", b"/srv/dca-2/")
    assert "nothing of ours" in of_crontab(others, PLACE).fact


def test_strangers() -> None:
    ours, lost = done(), done(client_order_id="dca-abcd1234-99-1-b")
    person = done(client_order_id="person-1")
    listed = [snapshot(each) for each in (ours, lost, person)]
    found = doctor_checks.of_strangers(listed, "dca-abcd1234-", {ours.client_order_id})
    assert levels(found) == [Level.WARN, Level.OK]
    assert found[0].fact.startswith("dca-abcd1234-99-1-b is open")
    assert "1 open that are not ours (BTC/USD buy)" in found[1].fact
    assert levels(doctor_checks.of_strangers(listed[:1], "dca-abcd1234-", {ours.client_order_id})) == [
        Level.OK
    ]


def test_quotes() -> None:
    assert doctor_checks.of_quotes({SYMBOL: quote("100")}, None).level is Level.OK
    assert doctor_checks.of_quotes({}, "timed out").level is Level.WARN


def test_stream_limit() -> None:
    assert doctor_checks.of_stream_limit(30).level is Level.OK
    over = doctor_checks.of_stream_limit(31)
    assert over.level is Level.WARN and "31 pairs: more than the 30" in over.fact


@pytest.mark.parametrize(
    ("power", "level", "remedy"), [("110", Level.OK, None), ("109.99", Level.WARN, "0.01 are missing")]
)
def test_worst_case_less_what_is_spent(power: str, level: Level, remedy: str | None) -> None:
    """One asset of 110 that has spent 20, one of 20, and a disabled one: 110 may still go."""
    small = asset(id=2, max_safety_orders=0, asset_symbol="ETH/USD")
    off = asset(id=3, is_enabled=False, asset_symbol="LINK/USD")
    line = doctor_checks.of_spending([asset(), small, off], {1: holding()}, account(power))
    assert line.fact.startswith("130.00 at worst, 20.00 of it spent")
    assert line.level is level
    assert (line.remedy or "").startswith(remedy or "")


def test_an_asset() -> None:
    good = quote("99.99", "100.01")
    fine = doctor_checks.of_asset(asset(), rules(), good, NOW)
    assert levels(fine) == [Level.OK]
    assert "4 buys make sense; takes 1.00 %, fees and spread cost 0.52 %" in fine[0].fact
    assert "below the 0.502 %" in says(
        doctor_checks.of_asset(asset(take_profit_percent=D("0.5")), rules(), good, NOW)
    )
    assert "below fees and spread" in says(
        doctor_checks.of_asset(asset(take_profit_percent=D("0.51")), rules(), good, NOW)
    )
    steep = asset(max_safety_orders=60, safety_order_deviation=D(10))
    deep = says(doctor_checks.of_asset(steep, rules(price_increment=D(1)), good, NOW))
    assert "can never be bought" in deep or "waits for a drop" in deep
    small = doctor_checks.of_asset(asset(), rules(min_order_size=D(1)), good, NOW)
    assert "below the exchange's minimum order" in says(small)
    assert levels(doctor_checks.of_asset(asset(), rules(), None, NOW)) == [Level.OK]  # no quote: in percent


def test_columns_fail_where_the_asset_should_buy() -> None:
    bad = {"base_order_amount": D(5)}
    assert levels(doctor_checks.of_asset(asset(**bad), rules(), None, NOW)) == [Level.FAIL]
    assert levels(doctor_checks.of_asset(asset(is_enabled=False, **bad), rules(), None, NOW)) == [Level.WARN]
    assert "no such pair" in says(doctor_checks.of_asset(asset(), None, None, NOW))


def test_a_lock() -> None:
    assert doctor_checks.of_lock(asset()) == []
    line = doctor_checks.of_lock(asset(lock_reason="0.1 missing", locked_at=NOW))[0]
    assert (line.level, line.fact) == (Level.FAIL, "locked since 01-02 03:04 UTC: 0.1 missing")


def test_main_app() -> None:
    assert doctor_checks.of_main_app(overview()).level is Level.OK
    assert doctor_checks.of_main_app(overview(is_running=False)).level is Level.FAIL
    fresh = books(last_runs={}, good_runs={}, first_run_at=None)
    assert doctor_checks.of_main_app(overview(of=fresh, is_running=False)).level is Level.WARN
    hung = doctor_checks.of_main_app(overview(now=NOW + timedelta(minutes=2)))
    assert hung.level is Level.FAIL and "121 s old" in hung.fact
    pause = Maintenance(until=NOW, who="bo", why="disk")
    assert doctor_checks.of_main_app(overview(is_running=False, maintenance=pause)).level is Level.OK


def test_caretakers() -> None:
    fine = list(doctor_checks.of_caretakers(books(), NOW, maintenance=False))
    assert levels(fine) == [Level.OK] * len(PERIODS)
    late = books(good_runs={name: run(name, 60) for name in PERIODS})
    assert set(levels(list(doctor_checks.of_caretakers(late, NOW, maintenance=False)))) == {Level.FAIL}
    assert set(levels(list(doctor_checks.of_caretakers(late, NOW, maintenance=True)))) == {Level.OK}
    never = books(good_runs={}, last_runs={})
    assert set(levels(list(doctor_checks.of_caretakers(never, NOW, maintenance=False)))) == {Level.WARN}


def test_mail_and_mode() -> None:
    found = [
        doctor_checks.of_mail(None, 0),
        doctor_checks.of_mail("a@example.com", 0),
        doctor_checks.of_mail("a@example.com", 3),
    ]
    assert levels(found) == [Level.WARN, Level.OK, Level.WARN]
    assert doctor_checks.of_the_mode(overview()).level is Level.OK
    halted = replace(CONTROL, mode=Mode.HALT)
    assert doctor_checks.of_the_mode(overview(of=books(control=halted))).level is Level.WARN


# ---- the whole ---------------------------------------------------------------------------------------------


def test_a_newcomer_without_env(tmp_path: Path) -> None:
    """Everything that is missing is a FAIL with what to do; the rest is not checked."""
    folder = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "dca.operator", "doctor"],
        cwd=ROOT,
        env={**folder, "DCA_ENV_FILE": str(tmp_path / "none.env"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (1, "")
    flat = " ".join(done.stdout.split())
    assert f"FAIL settings: there is no {tmp_path}/none.env -> ./bot install" in flat
    assert flat.count("FAIL settings:") == 1, "not each name that would be in it"
    assert "not checked: the settings fail" in flat
    assert "OK disk:" in flat
    assert flat.endswith("FAIL")


@pytest.fixture
def bot(
    tmp_path: Path,
    empty_database: DatabaseSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Operator:
    """A database without tables, and no exchange."""
    return Operator(tmp_path, empty_database, NO_EXCHANGE, monkeypatch, capsys)


def test_no_tables_and_no_exchange(bot: Operator) -> None:
    done = bot.types("doctor")
    assert done.code == 1
    assert f"has no tables of ours, this program needs {SCHEMA_VERSION} -> run ./bot migrate" in done.flat
    assert "FAIL exchange: does not answer" in done.flat
    assert "not checked: the tables fail" in done.flat
    assert "WARN main app: not running" in done.flat
    assert "WARN mail: off" in done.flat
    assert "WARN grants: the user may do more than it needs: ALL ON *.*" in done.flat


def test_no_database(bot: Operator) -> None:
    text = bot.env_file.read_text()
    bot.env_file.write_text(text.replace("DB_SOCKET='", "DB_SOCKET='/nowhere"))
    done = bot.types("doctor")
    assert done.code == 1
    assert "FAIL database: Can't connect" in done.flat
    assert "is the server running" in done.flat
    assert "grants: not checked: the database fails" in done.flat


def test_a_wrong_password_and_a_wrong_name(bot: Operator, server: DatabaseServer) -> None:
    text = bot.env_file.read_text()
    secret = server.settings.password
    bot.env_file.write_text(text.replace(secret, "[wrong]"))
    done = bot.types("doctor")
    assert "FAIL database: Access denied" in done.flat and "check DB_USER" in done.flat
    assert "[wrong]" not in done.out
    bot.env_file.write_text(text.replace("DB_NAME='", "DB_NAME='no_"))
    done = bot.types("doctor")
    assert "FAIL database: Unknown database" in done.flat and "make it: ./bot install" in done.flat


def test_settings_and_folders(bot: Operator, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder should be")
    bot.env_file.chmod(0o644)
    done = bot.types("doctor")
    assert f"FAIL log folder: {tmp_path}/logs cannot be written" in done.flat
    assert (
        f"WARN .env: .env can be read by other users of this machine (mode 644) -> chmod 600 {bot.env_file}"
        in (done.flat)
    )


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[ExchangeProcess]:
    exchange = ExchangeProcess(tmp_path / "exchange.log")
    exchange.price(SYMBOL, "50000")
    yield exchange
    exchange.stop()


def test_the_whole_of_it(
    tmp_path: Path,
    exchange: ExchangeProcess,
    database: DatabaseSettings,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bot = Operator(tmp_path, database, exchange.settings, monkeypatch, capsys)
    bare = bot.types("doctor")
    assert bare.code == 0, bare.out
    assert "WARN assets: there is none" in bare.flat
    assert "OK account binding: the database has traded no account yet" in bare.flat

    store.run_script(ROW.format(symbol=SYMBOL, base=20) + ROW.format(symbol="NIX/USD", base=20))
    store.transaction(lambda tx: tx.insert_cycle(1, CycleStatus.WATCHING))
    store.transaction(lambda tx: tx.next_epoch("another account"))
    store.transaction(lambda tx: tx.lock_asset(1, "0.1 missing", datetime.now(UTC)))
    prefix = store.transaction(lambda tx: tx.control()).install_id
    for name in (f"dca-{prefix}-9-1-b", "person-1"):
        order = {**BY_HAND, "client_order_id": name}
        headers = {
            "APCA-API-KEY-ID": exchange.urls["key_id"],
            "APCA-API-SECRET-KEY": exchange.urls["secret_key"],
        }
        _post(exchange.urls["trading"] + "/v2/orders", order, headers)
    done = bot.types("doctor", "--json")
    assert done.code == 1
    told = done.json()
    lines = {(each["name"], each["level"]): each for each in told["checks"]}
    assert told["counts"]["FAIL"] == sum(each["level"] == "FAIL" for each in told["checks"])
    assert "has traded account another account" in lines["account binding", "FAIL"]["fact"]
    assert "0.1 missing" in lines["BTC/USD", "FAIL"]["fact"]
    assert "has no such pair" in lines["NIX/USD", "FAIL"]["fact"]
    assert f"dca-{prefix}-9-1-b is open" in lines["orphans", "WARN"]["fact"]
    assert "1 open that are not ours" in lines["other orders", "OK"]["fact"]
    assert lines["clock", "OK"] and lines["keys", "OK"] and lines["tables", "OK"]
    assert exchange.settings.secret_key not in done.out

    bot.env_file.write_text(bot.env_file.read_text().replace(exchange.settings.secret_key, "wrong"))
    assert "FAIL keys:" in bot.types("doctor").flat


def test_a_state_folder_that_is_a_file(bot: Operator, tmp_path: Path) -> None:
    bot.env_file.write_text(bot.env_file.read_text().replace("/state'", "/env'"))
    done = bot.types("doctor", columns=300)
    assert f"FAIL state folder: {tmp_path}/env cannot be written: Not a directory" in done.flat
    assert "WARN main app: not running" in done.flat


def _post(url: str, body: dict[str, str], headers: dict[str, str]) -> None:
    answer = requests.post(url, json=body, headers=headers, timeout=5)
    assert answer.ok, answer.text
