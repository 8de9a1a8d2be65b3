"""What doctor concludes from what it was shown: lines of OK, WARN or FAIL, each with its remedy. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from dca.alerts import conditions
from dca.alerts.conditions import Disk
from dca.core import ledger, remedies, strategy
from dca.core.model import Account, Asset, Cycle, Quote, Snapshot, TradingRules
from dca.core.operations import Owner, Server
from dca.core.order_cleanup import strangers
from dca.database import connection_budget
from dca.exchange.clock_offset import MOST_SECONDS
from dca.operator import formatting
from dca.operator.asset_settings import ladder
from dca.operator.setup import server_version
from dca.operator.views import staleness
from dca.operator.views.snapshot import Books, Overview

STREAM_SYMBOLS = 30
"""Older documents of Alpaca allow so many symbols on a free plan's stream; more are refused with error 405.
What holds today is not established (alpaca.md 5)."""
NEEDED_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
MIGRATION_RIGHTS = ("CREATE", "ALTER", "INDEX", "REFERENCES")


class Level(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One check. `remedy`: what to do about a WARN or a FAIL."""

    level: Level
    name: str
    fact: str
    remedy: str | None = None


def ok(name: str, fact: str) -> Line:
    return Line(level=Level.OK, name=name, fact=fact)


def warn(name: str, fact: str, remedy: str | None = None) -> Line:
    return Line(level=Level.WARN, name=name, fact=fact, remedy=remedy)


def fail(name: str, fact: str, remedy: str) -> Line:
    return Line(level=Level.FAIL, name=name, fact=fact, remedy=remedy)


def of_owner(owner: Owner | None, refusal: str | None, *, is_ours: bool) -> Line:
    """Whose the database is: machine, folder, mark and boot of whose main_app started last on it."""
    if refusal is not None:
        whose, _, remedy = refusal.partition(": ")
        return fail("owner", whose, remedy)
    if owner is None:
        return ok("owner", "nobody's yet: main_app has not started on this database")
    seen = f"{owner.name}, seen {owner.seen_at:%Y-%m-%d %H:%M:%S} UTC"
    return ok("owner", f"{'this installation' if is_ours else 'was'} {seen}")


def not_checked(names: Sequence[str], why: str) -> Line:
    return warn(", ".join(names), f"not checked: {why}")


# ---- this machine ------------------------------------------------------------------------------------------


def of_disk(name: str, disk: Disk) -> Line:
    """By the limit of the mail about a full disk."""
    fact = f"{disk.free / 1e9:.1f} GB free at {disk.folder}"
    if not conditions.is_full(disk):
        return ok(name, fact)
    return fail(name, fact, f"make room: logs, database and heartbeat need some; df -h {disk.folder}")


# ---- the database ------------------------------------------------------------------------------------------


def of_version(version: str) -> Line:
    """MariaDB 10.6 or MySQL 8.0.19, and newer."""
    problem = server_version.problem(version)
    if problem is not None:
        return fail("server", problem, "upgrade the server")
    return ok("server", server_version.label(version))


def of_columns(there: Set[str], wanted: Set[str]) -> list[Line]:
    """Columns that are not there although the version says so. Each is table.column."""
    lines = []
    for table, _, column in sorted(each.partition(".") for each in wanted - there):
        remedy = (
            f"with the bot stopped, put it back from a backup, or empty as sql/schema.sql defines it: ALTER "
            f"TABLE {table} ADD COLUMN {column} ..."
        )
        lines.append(fail("tables", f"{table} has no column {column}", remedy))
    return lines


def of_time_zones(server: Server, now: datetime) -> list[Line]:
    """The connection must be at UTC; the server's own zone matters to a person's client only."""
    lines = []
    zone = server.system_time_zone if server.time_zone == "SYSTEM" else server.time_zone
    if abs((server.session_now - server.utc).total_seconds()) > 1:
        lines.append(fail("time zone", "our connection is not at UTC", "this is a bug: please report it"))
    elif zone in {"UTC", "+00:00", "Etc/UTC", "GMT"}:
        lines.append(ok("time zone", f"the server is at {zone}"))
    else:
        words = f"the server is at {zone}: our times are UTC, and NOW() in your own client is not"
        lines.append(warn("time zone", words, "SET time_zone = '+00:00' there, or write UTC_TIMESTAMP(6)"))
    seconds = (server.utc - now).total_seconds()
    fact = f"the server's differs from this machine's by {seconds:+.1f} s"
    remedy = "set both right (timedatectl set-ntp true): created_at columns come from the server"
    late = abs(seconds) > MOST_SECONDS
    lines.append(warn("database clock", fact, remedy) if late else ok("database clock", fact))
    return lines


def of_durability(server: Server) -> Line:
    value = server.flush_log_at_trx_commit
    if value == 1:
        return ok("durability", "a commit is on the disk (innodb_flush_log_at_trx_commit = 1)")
    return warn(
        "durability",
        f"innodb_flush_log_at_trx_commit = {value}: the last second of commits is lost when the power fails",
        "set it to 1 in the server's configuration; an order forgotten so locks its asset",
    )


_GRANT = re.compile(r"^GRANT (?P<rights>.+?) ON (?P<what>\S+) TO ", re.IGNORECASE)
_PER_HOUR = re.compile(r"MAX_(?:QUERIES|UPDATES|CONNECTIONS)_PER_HOUR [1-9]\d*", re.IGNORECASE)


def of_connections(limit: int, assets: int, workers: int) -> Line:
    """How many connections the server grants this user, and how many are needed."""
    short = connection_budget.shortage(limit, assets, workers)
    if short is None:
        needed = connection_budget.need(assets, workers)
        return ok("connections", f"the database grants {limit} at a time, {needed} are needed")
    if limit < connection_budget.LEAST:
        fact = f"the database grants {limit} at a time: main_app and the caretakers shut each other out"
        return fail("connections", fact, connection_budget.REMEDY)
    return warn("connections", short, connection_budget.REMEDY)


def of_grants(grants: Sequence[str], database: str) -> list[Line]:
    """Whether the user may do what is needed, and not much more."""
    here: set[str] = set()
    everywhere: set[str] = set()
    for grant in grants:
        found = _GRANT.match(grant)
        if found is None:
            continue
        rights = {right.strip().upper() for right in found["rights"].split(",")} - {"USAGE"}
        if found["what"] == "*.*":
            everywhere |= rights
        if _covers(found["what"], database):
            here |= rights
    lines = [_of_rights(here, database, has_roles=any(not _GRANT.match(grant) for grant in grants))]
    if everywhere - {"USAGE", "PROXY"}:
        broad = "ALL" if everywhere & {"ALL", "ALL PRIVILEGES"} else ", ".join(sorted(everywhere)[:4])
        remedy = f"give it rights on {database}.* only: ./bot install --print shows the statements"
        lines.append(warn("grants", f"the user may do more than it needs: {broad} ON *.*", remedy))
    for limit in filter(None, map(_PER_HOUR.search, grants)):
        remedy = "have the limit removed: main_app and the caretakers ask day and night"
        lines.append(fail("grants", f"the server stops answering this user in the hour: {limit[0]}", remedy))
    return lines


def _of_rights(rights: set[str], database: str, *, has_roles: bool) -> Line:
    if rights & {"ALL", "ALL PRIVILEGES"}:
        return ok("grants", f"the user may do everything in {database}")
    missing = [right for right in NEEDED_RIGHTS if right not in rights]
    if missing and has_roles:
        return warn("grants", f"{', '.join(missing)} may come from a role: not checked")
    if missing:
        remedy = "./bot install --print shows the statements to run as the server's administrator"
        return fail("grants", f"the user lacks {', '.join(missing)} on {database}", remedy)
    later = [right for right in MIGRATION_RIGHTS if right not in rights]
    if later:
        return warn("grants", f"good for trading; ./bot migrate will lack {', '.join(later)}")
    return ok("grants", f"the user may do what is needed in {database}")


def _covers(what: str, database: str) -> bool:
    """Whether the place of a grant is our database: a pattern with % and _, where \\ makes them plain."""
    scope, _, table = what.rpartition(".")
    if table.strip("`") != "*":
        return False
    if scope == "*":
        return True
    parts = re.findall(r"\\.|.", scope.strip("`").replace("``", "`"))
    wild = {"%": ".*", "_": "."}
    pattern = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(pattern, database, re.IGNORECASE) is not None


# ---- the exchange ------------------------------------------------------------------------------------------


def of_strangers(listed: Sequence[Snapshot], prefix: str, known: set[str]) -> list[Line]:
    """Open orders that the ledger does not know."""
    found = strangers(listed, prefix, known)
    lines = [
        warn(
            "orphans",
            f"{each.client_order_id} is open at the exchange, carries our id and is not in the ledger",
            "order_manager cancels it at its next run (is cron there?)",
        )
        for each in found.orphans
    ]
    if not lines:
        lines = [ok("orphans", f"none among {len(listed)} open orders")]
    if found.foreign:
        names = ", ".join(f"{each.symbol} {each.side}" for each in found.foreign[:3])
        lines.append(
            ok("other orders", f"{len(found.foreign)} open that are not ours ({names}): never touched")
        )
    return lines


def of_quotes(quotes: Mapping[str, Quote], trouble: str | None) -> Line:
    if trouble is not None:
        return warn("quotes", trouble, "see APCA_API_DATA_URL in .env, which is best left out")
    return ok("quotes", f"the exchange gives them by REST too ({len(quotes)} pairs)")


def of_stream_limit(symbols: int) -> Line:
    if symbols <= STREAM_SYMBOLS:
        return ok("stream", f"{symbols} pairs to subscribe to, {STREAM_SYMBOLS} are always taken")
    return warn(
        "stream",
        f"{symbols} pairs: more than the {STREAM_SYMBOLS} that Alpaca's older documents allow on a free plan",
        "see whether main_app's log says 405; if so, ./bot disable some or use a paid plan",
    )


# ---- the assets --------------------------------------------------------------------------------------------


def of_spending(assets: Sequence[Asset], cycles: Mapping[int, Cycle], account: Account) -> Line:
    """The worst case of all enabled assets, less what their cycles have spent, against the buying power."""
    enabled = [asset for asset in assets if asset.is_enabled]
    live = [(asset, cycles.get(asset.id)) for asset in enabled]
    worst = sum((strategy.worst_case(*each) for each in live), Decimal(0))
    gone = worst - sum((strategy.still_to_come(*each) for each in live), Decimal(0))
    power = account.non_marginable_buying_power
    fact = (
        f"{formatting.dollars(worst)} at worst, {formatting.dollars(gone)} of it spent; "
        f"the account has {formatting.dollars(power)} left"
    )
    if worst - gone <= power:
        return ok("worst case", fact)
    missing = formatting.dollars(worst - gone - power)
    return warn("worst case", fact, f"{missing} are missing: pay in, or lower amounts (./bot set, disable)")


def of_lock(asset: Asset) -> list[Line]:
    if asset.lock_reason is None:
        return []
    since = "" if asset.locked_at is None else f" since {asset.locked_at:%m-%d %H:%M} UTC"
    remedy = f"./bot why {asset.asset_symbol}; docs/operations.md says what ends which lock"
    return [fail(asset.asset_symbol, f"locked{since}: {asset.lock_reason}", remedy)]


def of_asset(
    asset: Asset,
    rules: TradingRules | None,
    quote: Quote | None,
    now: datetime,
    *,
    was_traded: bool | None = None,
) -> list[Line]:
    """Columns and ladder of one asset. `rules` None: the exchange has no such pair; `quote` None: none that
    is good, and the ladder is then built in percent. `was_traded` None: not known."""
    symbol = asset.asset_symbol
    problems = strategy.asset_problems(asset, rules)
    if problems or rules is None:
        level = Level.FAIL if asset.is_enabled else Level.WARN
        return [
            Line(
                level=level,
                name=symbol,
                fact=problem,
                remedy=remedies.against(symbol, problem, was_traded=was_traded),
            )
            for problem in problems
        ]
    first = ladder.NAMELESS_PRICE if quote is None else quote.ask
    known = ladder.nameless_rules(symbol) if quote is None else rules
    built = ladder.build(asset, known, first, now)
    found = ladder.warnings(built, quote, None)
    if found:
        return [warn(symbol, warning, ladder.repair(built, quote, warning)) for warning in found]
    costs = "" if quote is None else f", fees and spread cost {_round_trip(quote):.2f} %"
    profit = formatting.percent(asset.take_profit_percent)
    return [ok(symbol, f"its {1 + asset.max_safety_orders} buys make sense; takes {profit} %{costs}")]


def _round_trip(quote: Quote) -> Decimal:
    return ladder.fee_percent() + ladder.spread_percent(quote)


# ---- what runs ---------------------------------------------------------------------------------------------


def of_main_app(look: Overview) -> Line:
    pause = look.maintenance
    if pause is not None:
        return ok("main app", f"maintenance until {pause.until:%m-%d %H:%M} UTC by {pause.who}: {pause.why}")
    if not look.is_running:
        had_a_chance = "watchdog" in look.books.last_runs
        remedy = "the watchdog starts it, and cron that (./bot install); see logs/main_app.log"
        if staleness.is_left_down(look):
            remedy = "it died too often and is left down: see logs/main_app.log, then ./bot resume"
        return (fail if had_a_chance else warn)("main app", "not running", remedy)
    wrong = staleness.about_main_app(look)
    if wrong:
        return fail("main app", "; ".join(wrong), "see logs/main_app.log and logs/watchdog.log")
    assert look.beat is not None
    return ok("main app", f"running since {look.beat.started_at:%m-%d %H:%M} UTC, pid {look.beat.pid}")


def of_caretakers(books: Books, now: datetime, *, maintenance: bool) -> Iterator[Line]:
    """A caretaker that never ran is new; one that stopped running is broken."""
    for each in staleness.caretakers(books, now):
        log = f"logs/{each.name}.log and crontab -l"
        if each.last_good_run_at is None:
            ran = "never ran" if each.last_run_at is None else f"never ran well: {each.details}"
            yield warn(each.name, ran, f"cron runs it within minutes (./bot install); see {log}")
        elif each.is_overdue and not maintenance:
            fact = f"its last good run was {formatting.span(now - each.last_good_run_at)} ago"
            yield fail(each.name, f"overdue: {fact}", f"see {log}; is cron running?")
        else:
            yield ok(each.name, f"last good run {formatting.span(now - each.last_good_run_at)} ago")


def of_mail(mail_to: str | None, unsent: int) -> Line:
    if mail_to is None:
        remedy = "set the ALERT_EMAIL_* names in .env, then ./bot test-email"
        return warn("mail", "off: nobody is told when something breaks", remedy)
    if unsent:
        return warn(
            "mail", f"on, waiting to be sent: {unsent}", "./bot test-email shows what the server says"
        )
    return ok("mail", f"on, to {mail_to}")


def of_incidents(look: Overview) -> Line:
    incidents = look.books.incidents
    if not incidents:
        return ok("incidents", "none open")
    subjects = "; ".join(incident.subject for incident in incidents)
    return warn("incidents", f"{len(incidents)} open: {subjects}", "./bot status; docs/operations.md")


def of_the_mode(look: Overview) -> Line:
    control = look.books.control
    if control.mode == "run":
        return ok("kill switch", "run")
    return warn("kill switch", f"{control.mode} ({control.mode_reason or 'no reason given'})", "./bot resume")


def prefix_of(books: Books) -> str:
    """How the client order ids of this installation begin."""
    return ledger.id_prefix(books.control.install_id)
