"""Fills a database with a past: years of cycles and orders, and of what running for years leaves beside them.

Rows are made inside the server. Cycles end one after the other at an even pace, the newest an hour ago; each
has a base order, three safety orders (the last one canceled without a fill) and a sale, and holds the dust
that no sale can take. Runs, mails and incidents are there for as long as the bot keeps them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

ORDERS_PER_CYCLE = 5
SECONDS_PER_CYCLE = 158
"""A million in five years: about nine a day of each asset. A shorter past is as busy as a long one."""
KEPT_DAYS = 90
_DAY = 86_400
_CHUNK = 10_000

_DIGITS = " UNION ALL ".join(f"SELECT {digit} AS d" for digit in range(10))
_NUMBERS = (
    "(SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM"  # noqa: S608 - digits
    f" ({_DIGITS}) a CROSS JOIN ({_DIGITS}) b CROSS JOIN ({_DIGITS}) c CROSS JOIN ({_DIGITS}) e) numbers"
)
"""0 to 9,999; one recipe for MariaDB and MySQL."""

_CYCLES = (
    "INSERT INTO dca_cycles (id, asset_id, status, quantity, average_purchase_price, safety_orders,"
    " latest_order_id, last_order_fill_price, completed_at, created_at, updated_at, bought_qty, bought_cost,"
    " buy_fee_qty, sold_qty, sold_proceeds, sell_fee, sellable_from)"
    " SELECT {first} + n, 1 + ({first} + n) % {assets}, IF(({first} + n) % 5000 = 7, 'error', 'complete'),"
    " 0.0000000004, 100, 2, CONCAT('x-', {first} + n), 99, {at}, {at} - INTERVAL 1 HOUR, {at},"
    " 0.6, 60, 0.0015, 0.5984999996, 61.6, 0.154, 0.01"
    " FROM {numbers} WHERE n < {count}"
)

_ORDERS = (
    "INSERT INTO dca_orders (id, asset_id, cycle_id, seq, purpose, level, client_order_id, symbol, side,"
    " order_type, time_in_force, qty, limit_price, state, exchange_order_id, exchange_status, filled_qty,"
    " filled_avg_price, filled_value, fee_qty, fee_usd, fee_source, trigger_price, quote_price,"
    " quote_age_ms, base_order_amount, safety_order_amount, max_safety_orders, take_profit_percent,"
    " min_order_size, qty_increment, epoch, created_at, last_sent_at, cancel_requested_at, closed_at,"
    " version)"
    " SELECT ({first} + n - 1) * 5 + o.seq, 1 + ({first} + n) % {assets}, {first} + n, o.seq, o.purpose,"
    " GREATEST(0, IF(o.seq < 5, o.seq - 1, 0)), CONCAT('dca-00000000-', {first} + n, '-', o.seq, o.suffix),"
    " {symbol}, IF(o.seq = 5, 'sell', 'buy'), IF(o.seq = 5, 'market', 'limit'), 'gtc',"
    " IF(o.seq = 5, 0.5984999996, 0.2), IF(o.seq = 5, NULL, 101 - o.seq), 'done',"
    " CONCAT('00000000-0000-0000-0000-', LPAD(({first} + n) * 5 + o.seq, 12, '0')),"
    " IF(o.seq = 4, 'canceled', 'filled'), IF(o.seq = 4, 0, IF(o.seq = 5, 0.5984999996, 0.2)),"
    " IF(o.seq = 4, NULL, 101 - o.seq), IF(o.seq = 4, 0, 20), IF(o.seq < 4, 0.0005, 0),"
    " IF(o.seq = 5, 0.154, 0), 'charged', 101 - o.seq, 101 - o.seq, 40, 20, 20, 3, 2, 0.01, 0.000000001,"
    " 1 + ({first} + n) DIV 10000, {at} - INTERVAL (6 - o.seq) * 10 MINUTE,"
    " {at} - INTERVAL (6 - o.seq) * 10 MINUTE, IF(o.seq = 4, {at} - INTERVAL 12 MINUTE, NULL),"
    " {at} - INTERVAL (5 - o.seq) * 10 MINUTE, 4"
    " FROM {numbers} CROSS JOIN"
    " (SELECT 1 AS seq, 'base' AS purpose, '-b' AS suffix UNION ALL SELECT 2, 'safety', '-s1'"
    " UNION ALL SELECT 3, 'safety', '-s2' UNION ALL SELECT 4, 'safety', '-s3'"
    " UNION ALL SELECT 5, 'take_profit', '-tp') o WHERE n < {count} ORDER BY n, o.seq"
)

_ATTEMPTS = (
    "INSERT INTO dca_order_attempts (order_id, attempt, sent_at, answer)"
    " SELECT id, 1, created_at, 'accepted' FROM dca_orders WHERE id > ({first} - 1) * 5"
    " AND id <= ({first} + {count} - 1) * 5"
)

_RUNS = (
    "INSERT INTO job_runs (job, started_at, ended_at, result, checked, changed)"
    " SELECT j.job, {at}, {at} + INTERVAL 1 SECOND,"
    " IF(({first} + n) % 1000 = 0, 'failed', IF(({first} + n) % 1000 < 5, 'stood_down', 'done')), 60, 0"
    " FROM {numbers} CROSS JOIN (SELECT 'watchdog' AS job, 1 AS every UNION ALL SELECT 'order_manager', 1"
    " UNION ALL SELECT 'cooldown_manager', 1 UNION ALL SELECT 'consistency_checker', 5) j"
    " WHERE n < {count} AND ({first} + n) % j.every = 0 ORDER BY n"
)

_MAILS = (
    "INSERT INTO mails (name, subject, body, created_at, sent_at, tries)"
    " SELECT IF(({first} + n) % 500 = 0, 'digest', IF(({first} + n) % 100 = 0, 'quotes', CONCAT('cycle ',"
    " {first} + n))), 'a subject of some length', REPEAT('a line of text\\n', 20), {at}, {at}, 1"
    " FROM {numbers} WHERE n < {count}"
)

_INCIDENTS = (
    "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at, ended_at, mails)"
    " SELECT IF(({first} + n) % 2 = 0, 'quotes', CONCAT('break ', {symbol})), 'health', 'a subject',"
    " REPEAT('a line of text\\n', 20), {at} - INTERVAL 1 HOUR, {at}, {at}, 2"
    " FROM {numbers} WHERE n < {count}"
)

_ACTIONS = (
    "INSERT INTO operator_actions (at, who, command, asset_symbol, effect)"
    " SELECT {at}, 'operator', CONCAT(IF(({first} + n) % 7 = 0, 'accept ', 'disable '), {symbol}),"
    " {symbol}, 'an effect' FROM {numbers} WHERE n < {count}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """How much of it: ended cycles, with five orders and as many attempts each."""

    cycles: int

    @property
    def days(self) -> float:
        return self.cycles * SECONDS_PER_CYCLE / _DAY

    @property
    def kept_days(self) -> float:
        """For as long runs, mails and incidents are there."""
        return min(self.days, KEPT_DAYS)


def statements(past: Past, symbols: Sequence[str]) -> Iterator[str]:
    """What makes the past, the oldest first, for a session in UTC. `symbols` are those of the assets, which
    have the ids from 1; no cycle and no order is there yet."""
    ended = _times(SECONDS_PER_CYCLE, past.cycles, "UTC_TIMESTAMP()")
    for chunk in _chunks(past.cycles):
        for statement in (_CYCLES, _ORDERS, _ATTEMPTS):
            yield _made(statement, ended, chunk, symbols)
    kept = past.kept_days
    for statement, of_a_day, days in [
        (_RUNS, 1440, kept),
        (_MAILS, 500, kept),
        (_INCIDENTS, 10, kept),
        (_ACTIONS, 5, past.days),
    ]:
        count = int(of_a_day * days)
        at = _times(_DAY // of_a_day, count, "UTC_TIMESTAMP(6)")
        for chunk in _chunks(count):
            yield _made(statement, at, chunk, symbols)


def _times(every_seconds: int, count: int, now: str) -> str:
    """When each of them was: evenly, the newest an hour ago."""
    return f"({now} - INTERVAL 3600 + {every_seconds} * ({count} - {{first}} - n) SECOND)"


def _made(statement: str, at: str, chunk: tuple[int, int], symbols: Sequence[str]) -> str:
    first, count = chunk
    names = ", ".join(f"'{symbol}'" for symbol in symbols)
    return statement.format(
        numbers=_NUMBERS,
        first=first,
        count=count,
        assets=len(symbols),
        at=at.format(first=first),
        symbol=f"ELT(1 + ({first} + n) % {len(symbols)}, {names})",
    )


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    """The first number, and how many, of each portion of 1 to `count`."""
    for first in range(1, count + 1, _CHUNK):
        yield first, min(_CHUNK, count + 1 - first)
