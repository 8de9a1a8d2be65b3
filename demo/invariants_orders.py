"""Invariants about single orders: in the ledger, at the exchange, and between the two."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal

from demo.rows import ZERO, Row, num, when
from demo.truth import CLOSED, LIVE_STATES, Truth, gross, plain

NEVER_SENT_OR_REFUSED = frozenset({"rejected", "void"})
SAME_PRICE = Decimal("1e-12")
OLDEST_QUOTE_MS = 15_000
_ENDED = frozenset({"done", "rejected", "void"})


def i01_one_live_order(truth: Truth) -> Iterator[str]:
    """At most one live order per cycle, and per asset."""
    live = [row for row in truth.books.orders if row["state"] in LIVE_STATES]
    for what in ("cycle_id", "asset_id"):
        for key, count in Counter(row[what] for row in live).items():
            if count > 1:
                yield f"{what} {key} has {count} live orders in the ledger"


def i02_one_open_order_at_the_exchange(truth: Truth) -> Iterator[str]:
    """At no moment two open orders of one cycle at the exchange."""
    opened: dict[object, set[str]] = defaultdict(set)
    for entry in truth.entries("order"):
        order = entry["order"]
        order_id = str(order["id"])
        if order_id in truth.manual or not truth.is_ours(order["client_order_id"]):
            continue
        here = opened[truth.cycle_of(order["client_order_id"])]
        if order["status"] in CLOSED:
            here.discard(order_id)
        elif order_id not in here:
            here.add(order_id)
            if len(here) > 1:
                yield f"{order['client_order_id']} was opened while another order of its cycle was open"


def i03_one_order_per_intent(truth: Truth) -> Iterator[str]:
    """One order at the exchange per client order id."""
    for name, count in Counter(str(order["client_order_id"]) for order in truth.our_orders).items():
        if count > 1:
            yield f"{name} exists {count} times at the exchange"


def i04_written_before_sent(truth: Truth) -> Iterator[str]:
    """Whatever reached the exchange was in the ledger before, every attempt of it."""
    attempts = Counter(int(row["order_id"]) for row in truth.books.attempts)
    posts = Counter(str(entry["client_order_id"]) for entry in truth.posts)
    for name, seen in truth.first_seen.items():
        row = truth.ledger.get(name)
        if row is None:
            yield f"{name} reached the exchange and is not in the ledger"
            continue
        created = when(row, "created_at")
        if created is None or created > seen:
            yield f"{name} reached the exchange at {seen}, before it was written down at {created}"
        if truth.books.attempts and posts[name] > attempts[int(row["id"])]:
            yield f"{name} was sent {posts[name]} times; {attempts[int(row['id'])]} attempts are written down"


def i05_ledger_not_ahead(truth: Truth) -> Iterator[str]:
    """The ledger never has more filled than the exchange."""
    for row in truth.books.orders:
        filled = sum((num(order, "filled_qty") for order in truth.of_ledger(row)), ZERO)
        if num(row, "filled_qty") > filled:
            yield (
                f"{row['client_order_id']}: ledger has {plain(num(row, 'filled_qty'))} filled, "
                f"exchange {plain(filled)}"
            )


def i06_ledger_equals_exchange(truth: Truth) -> Iterator[str]:
    """At rest: the same quantity, the same average, ended on both sides or open on both."""
    for row in truth.books.orders:
        for order in truth.of_ledger(row):
            yield from (f"{row['client_order_id']}: {what}" for what in _differences(truth, row, order))


def _differences(truth: Truth, row: Row, order: Row) -> Iterator[str]:
    same = ("filled_qty", "filled_avg_price")
    # What came back otherwise than it was sent is known to be so.
    for name in same if row.get("difference") else (*same, "qty", "limit_price"):
        if abs(num(row, name) - num(order, name)) > SAME_PRICE:
            yield f"{name} is {plain(num(row, name))}, at the exchange {plain(num(order, name))}"
    known_id = {**row, "id": row.get("exchange_order_id") or order["id"]}
    for name in ("side", "symbol", "id"):
        if known_id[name] != order[name]:
            yield f"{name} is {known_id[name]}, at the exchange {order[name]}"
    if (row["state"] in LIVE_STATES) != (order["status"] not in CLOSED):
        yield f"state is {row['state']}, at the exchange {order['status']}"
    yield from _unlike_its_executions(row, order, truth.executions[str(order["id"])])


def _unlike_its_executions(row: Row, order: Row, executions: list[Row]) -> Iterator[str]:
    qty, value = gross(executions)
    if qty != num(order, "filled_qty"):
        yield f"the exchange's executions add up to {plain(qty)}, its order says {order['filled_qty']}"
    # An average has nine decimals, so a value computed from it may be off by that much per coin.
    if abs(value - num(row, "filled_value")) > qty * Decimal("1e-9") + Decimal("1e-9"):
        yield f"filled_value is {plain(num(row, 'filled_value'))}, the executions make {plain(value)}"


def i16_decided_on_a_fresh_quote(truth: Truth) -> Iterator[str]:
    """No order was decided on an old quote."""
    for row in truth.books.orders:
        if not 0 <= int(num(row, "quote_age_ms")) <= OLDEST_QUOTE_MS:
            yield f"{row['client_order_id']} was decided on a quote {row['quote_age_ms']} ms old"


def i17_prices_of_orders(truth: Truth) -> Iterator[str]:
    """Buys: limit not above the ask that decided, and no execution above the limit. Safety orders: not
    above their trigger. Sells: only when the bid was the take-profit percentage above the average."""
    for row in truth.books.orders:
        name, quote = row["client_order_id"], num(row, "quote_price")
        if row["side"] == "buy":
            limit = num(row, "limit_price")
            if limit > quote:
                yield f"{name}: limit {plain(limit)} is above the ask {plain(quote)} that decided"
            for each in truth.fills(row):
                if num(each, "price") > limit and not row.get("difference"):
                    yield f"{name} was filled at {each['price']}, above its limit {plain(limit)}"
        if row["purpose"] == "safety":
            yield from _safety_too_early(truth, row)
        if row["side"] == "sell":
            yield from _sold_too_early(truth, row)


def _safety_too_early(truth: Truth, row: Row) -> Iterator[str]:
    buys = _earlier_buys(truth, row)
    if not buys:
        yield f"{row['client_order_id']} is a safety order, and nothing was bought before it"
        return
    qty, value = gross(truth.fills(buys[-1]))
    deviation = num(truth.asset_of(row), "safety_order_deviation")
    trigger = value / qty * (1 - deviation / 100)
    if num(row, "quote_price") > trigger + Decimal("2e-9"):
        yield (
            f"{row['client_order_id']} was decided at ask {plain(num(row, 'quote_price'))}, "
            f"above {trigger:.10f}: {plain(deviation)} % below the last fill"
        )


def _sold_too_early(truth: Truth, row: Row) -> Iterator[str]:
    fills = [each for buy in _earlier_buys(truth, row) for each in truth.fills(buy)]
    qty, value = gross(fills)
    if qty == 0:
        yield f"{row['client_order_id']} sells, and nothing was bought before it"
        return
    percent = num(row, "take_profit_percent")
    wanted = (value / qty - Decimal("1e-9")) * (1 + percent / 100)
    if num(row, "quote_price") < wanted:
        yield (
            f"{row['client_order_id']} was decided at bid {plain(num(row, 'quote_price'))}, "
            f"below {wanted:.10f}: {plain(percent)} % above the average"
        )


def _earlier_buys(truth: Truth, row: Row) -> list[Row]:
    """The filled buys of the same cycle that came before."""
    cycle = [each for each in truth.books.orders if each["cycle_id"] == row["cycle_id"]]
    before = sorted(
        (each for each in cycle if int(each["seq"]) < int(row["seq"])), key=lambda o: int(o["seq"])
    )
    return [each for each in before if each["side"] == "buy" and truth.fills(each)]


def i18_nothing_goes_back(truth: Truth) -> Iterator[str]:
    """Filled quantities and versions only grow, and what has ended stays ended: on both sides."""
    known: dict[str, tuple[Decimal, bool]] = {}
    for entry in truth.entries("order"):
        order = entry["order"]
        filled, closed = known.get(str(order["id"]), (ZERO, False))
        if num(order, "filled_qty") < filled or (closed and order["status"] not in CLOSED):
            yield f"{order['client_order_id']} went back at the exchange to {order['status']}"
        known[str(order["id"])] = (num(order, "filled_qty"), order["status"] in CLOSED)
    last: dict[str, Row] = {}
    for row in (*truth.books.observations, *truth.books.orders):
        before = last.get(str(row["id"]))
        if before is not None and _went_back(before, row):
            yield f"{row['client_order_id']} went back from {_seen(before)} to {_seen(row)}"
        last[str(row["id"])] = row


def _went_back(before: Row, after: Row) -> bool:
    if any(num(after, name) < num(before, name) for name in ("filled_qty", "version")):
        return True
    return before["state"] in _ENDED and after["state"] not in {before["state"], "ghost"}


def _seen(row: Row) -> str:
    return f"({row['state']}, filled {plain(num(row, 'filled_qty'))}, version {row['version']})"


def i22_epochs_do_not_fall(truth: Truth) -> Iterator[str]:
    """Orders carry the number of the start that claimed them: never an older one after a newer."""
    latest = 0
    for row in sorted(truth.books.orders, key=lambda each: int(each["id"])):
        if int(row["epoch"]) < latest:
            yield f"{row['client_order_id']} was claimed by start {row['epoch']}, after start {latest}"
        latest = max(latest, int(row["epoch"]))


def i26_only_ours_was_touched(truth: Truth) -> Iterator[str]:
    """No request to cancel, change or close anything that is not the bot's; no order without its id."""
    for entry in truth.entries("request"):
        path, name = str(entry["path"]), entry.get("client_order_id")
        if "/positions" in path and entry["method"] != "GET":
            yield f"{entry['method']} {path}: positions were closed"
        elif entry["method"] == "POST" and not truth.is_ours(name):
            yield f"an order was sent under the foreign id {name}"
        elif entry["method"] in {"DELETE", "PATCH"}:
            order = truth.orders.get(str(entry.get("order_id") or path.rsplit("/", 1)[-1]))
            if order is None or order["id"] in truth.manual or not truth.is_ours(order["client_order_id"]):
                yield f"{entry['method']} {path}: not an order of the bot"


def i30_nothing_unexplained(truth: Truth) -> Iterator[str]:
    """Every order of ours at the exchange is in the ledger, and every one in the ledger that was not
    refused or given up is at the exchange. A refused or void one that exists is a break."""
    for order in truth.our_orders:
        if str(order["client_order_id"]) not in truth.ledger:
            yield f"{order['client_order_id']} is at the exchange and not in the ledger"
    for row in truth.books.orders:
        exists = bool(truth.of_ledger(row))
        if not exists and row["state"] not in NEVER_SENT_OR_REFUSED:
            yield f"{row['client_order_id']} is {row['state']} in the ledger and not at the exchange"
        if exists and row["state"] in NEVER_SENT_OR_REFUSED:
            yield f"{row['client_order_id']} is {row['state']} in the ledger and exists at the exchange"
