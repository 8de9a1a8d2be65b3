"""Invariants about cycles and money: what the bot's rows add up to, and what the executions make of it."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from demo.rows import ZERO, Row, flag, num, when
from demo.truth import CENT, FEE_STEP, LIVE_STATES, Truth, coins, dollars, gross, plain

PRICE_STEP = Decimal("1e-10")
NEAR = Decimal("1e-9")
ENDED = frozenset({"complete", "error"})
MAKER_DISCOUNT = Decimal("0.0010")
TAKER_RATE = Decimal("0.0025")
"""The bot books the taker's 25 bps on every buy; the exchange takes 15 from a maker."""


def _near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= NEAR * max(abs(one), abs(other))


def i07_cycles_follow_from_the_ledger(truth: Truth) -> Iterator[str]:
    """Every derived column of a cycle is what its orders add up to."""
    for cycle in truth.books.cycles:
        wanted = _totals(truth.ledger_of_cycle(cycle))
        for name, value in wanted.items():
            if name in cycle and not _near(num(cycle, name), value):
                has = plain(num(cycle, name))
                yield f"cycle {cycle['id']}: {name} is {has}, its orders make {plain(value)}"
        ids = [row["exchange_order_id"] for row in truth.ledger_of_cycle(cycle) if row["exchange_order_id"]]
        if cycle.get("latest_order_id") != (ids[-1] if ids else None):
            yield f"cycle {cycle['id']}: latest_order_id is {cycle.get('latest_order_id')}"


def _totals(orders: list[Row]) -> dict[str, Decimal]:
    filled = [row for row in orders if num(row, "filled_qty") > 0]
    buys = [row for row in filled if row["side"] == "buy"]
    sells = [row for row in filled if row["side"] == "sell"]

    def add(rows: list[Row], name: str) -> Decimal:
        return sum((num(row, name) for row in rows), ZERO)

    bought, cost, fee = add(buys, "filled_qty"), add(buys, "filled_value"), add(buys, "fee_qty")
    sold = add(sells, "filled_qty")
    last = num(buys[-1], "filled_avg_price") if buys else ZERO
    return {
        "bought_qty": bought,
        "bought_cost": cost,
        "buy_fee_qty": fee,
        "sold_qty": sold,
        "sold_proceeds": add(sells, "filled_value"),
        "sell_fee": add(sells, "fee_usd"),
        "quantity": max(bought - fee - sold, ZERO),
        "average_purchase_price": (cost / bought).quantize(PRICE_STEP, rounding=ROUND_UP) if bought else ZERO,
        "safety_orders": Decimal(sum(row["purpose"] == "safety" for row in buys)),
        "last_order_fill_price": last.quantize(PRICE_STEP, rounding=ROUND_UP),
    }


def i08_never_oversold(truth: Truth) -> Iterator[str]:
    """At no moment had a cycle sold, or offered, more coins than it had bought, net of true fees."""
    held: dict[object, Decimal] = defaultdict(Decimal)
    # The ledger rounds a fee once per order, the exchange once per execution: a step of difference each.
    steps: dict[object, Decimal] = defaultdict(Decimal)
    offered: set[str] = set()
    for entry in truth.books.journal:
        if entry["kind"] == "execution" and truth.is_ours(entry["client_order_id"]):
            cycle = truth.cycle_of(entry["client_order_id"])
            held[cycle] += coins(entry)
            steps[cycle] += FEE_STEP
            if held[cycle] < -steps[cycle]:
                yield f"cycle {cycle} sold {plain(-held[cycle])} more than it held"
        elif entry["kind"] == "order" and entry["order"]["side"] == "sell":
            order = entry["order"]
            if order["id"] in offered or not truth.is_ours(order["client_order_id"]):
                continue
            offered.add(str(order["id"]))
            cycle = truth.cycle_of(order["client_order_id"])
            has = held[cycle]
            if num(order, "qty") - num(order, "filled_qty") > has + steps[cycle]:
                yield f"{order['client_order_id']} offers {order['qty']}, its cycle held {plain(has)}"


def i09_position_covers_the_cycles(truth: Truth) -> Iterator[str]:
    """What the ledger holds is there, and no more is there than the fee assumption explains."""
    for symbol in truth.symbols():
        executions = truth.our_executions(symbol)
        position = sum((coins(each) for each in executions), ZERO)
        mine = [c for c in truth.books.cycles if truth.asset_of(c)["asset_symbol"] == symbol]
        held = sum((num(c, "quantity") for c in mine), ZERO)
        steps = FEE_STEP * max(len(executions), 1)
        bought, _ = gross([each for each in executions if each["side"] == "buy"])
        if held > position + steps + _dearer_again(truth, mine):
            yield f"{symbol}: the ledger holds {plain(held)}, the exchange has {plain(position)} of ours"
        if position - held > bought * MAKER_DISCOUNT + steps:
            yield f"{symbol}: the exchange has {plain(position)} of ours, the ledger only {plain(held)}"


def _dearer_again(truth: Truth, cycles: list[Row]) -> Decimal:
    """Coins that the ledger may be ahead by: a lower tier was learned, the account has left it, and the
    position has not been read since. Nothing while the highest rate is assumed."""
    buys = [
        row
        for cycle in cycles
        if cycle["status"] not in ("complete", "error")
        for row in truth.ledger_of_cycle(cycle)
        if row["side"] == "buy"
    ]
    rates = ((row, Decimal(str(row.get("fee_rate") or TAKER_RATE))) for row in buys)
    return sum((num(row, "filled_qty") * max(TAKER_RATE - rate, ZERO) for row, rate in rates), ZERO)


def i10_foreign_coins_untouched(truth: Truth) -> Iterator[str]:
    """The bot's own coins never went below nothing: none of another's were sold."""
    for symbol in truth.symbols():
        own, count = ZERO, 0
        for each in truth.our_executions(symbol):
            own, count = own + coins(each), count + 1
            if own < -FEE_STEP * count:
                yield f"{symbol}: {plain(-own)} coins were sold that were not the bot's"
                break


def i11_budget(truth: Truth) -> Iterator[str]:
    """A cycle never costs more than its base and safety orders, as they stood at each claim (and 1 %)."""
    for cycle in truth.books.cycles:
        spent = ZERO
        for row in truth.ledger_of_cycle(cycle):
            if row["side"] != "buy":
                continue
            open_qty = num(row, "qty") - num(row, "filled_qty") if row["state"] in LIVE_STATES else ZERO
            spent += gross(truth.fills(row))[1] + open_qty * num(row, "limit_price")
            safety = num(row, "max_safety_orders") * num(row, "safety_order_amount")
            if spent > (num(row, "base_order_amount") + safety) * Decimal("1.01"):
                yield f"cycle {cycle['id']} had spent {spent:.2f} dollars with {row['client_order_id']}"


def i12_levels(truth: Truth) -> Iterator[str]:
    """Not more safety orders with a fill than allowed, and one order with a fill per level."""
    for cycle in truth.books.cycles:
        orders = [row for row in truth.ledger_of_cycle(cycle) if row["purpose"] == "safety"]
        filled = [row for row in orders if truth.fills(row) or num(row, "filled_qty") > 0]
        for level, count in Counter(int(row["level"]) for row in filled).items():
            if count > 1:
                yield f"cycle {cycle['id']}: level {level} was filled by {count} orders"
        for number, row in enumerate(filled, start=1):
            if number > num(row, "max_safety_orders"):
                yield f"cycle {cycle['id']}: {row['client_order_id']} is safety order {number}"


def i13_one_live_cycle(truth: Truth) -> Iterator[str]:
    """One live cycle for each asset that was ever traded or is enabled, and never two."""
    live = Counter(int(cycle["asset_id"]) for cycle in truth.books.cycles if cycle["status"] not in ENDED)
    traded = {int(cycle["asset_id"]) for cycle in truth.books.cycles}
    for asset in truth.books.assets:
        count = live[int(asset["id"])]
        must = flag(asset, "is_enabled") or int(asset["id"]) in traded
        if count > 1 or (must and count == 0):
            yield f"{asset['asset_symbol']} has {count} live cycles"


def i14_status_agrees(truth: Truth) -> Iterator[str]:
    """A cycle's status says what its orders say."""
    for cycle in truth.books.cycles:
        yield from (
            f"cycle {cycle['id']} is {cycle['status']}, {what}" for what in _disagreements(truth, cycle)
        )


def _disagreements(truth: Truth, cycle: Row) -> Iterator[str]:
    status = cycle["status"]
    orders = truth.ledger_of_cycle(cycle)
    live = [row["side"] for row in orders if row["state"] in LIVE_STATES]
    wanted = {"buying": ["buy"], "selling": ["sell"]}.get(str(status), [])
    if live != wanted:
        yield f"and has the live orders {live}"
    if (status in ENDED) != (when(cycle, "completed_at") is not None):
        yield f"and completed_at is {cycle.get('completed_at')}"
    if status == "cooldown" and num(cycle, "quantity") != 0:
        yield f"and holds {cycle['quantity']}"
    if status == "complete":
        smallest = max((num(row, "min_order_size") for row in orders), default=ZERO)
        if num(cycle, "quantity") > smallest:
            yield f"and still holds {cycle['quantity']}"
        if not any(row["side"] == "sell" and num(row, "filled_qty") > 0 for row in orders):
            yield "and sold nothing"


def i14_last_sell_price(truth: Truth) -> Iterator[str]:
    """The asset remembers the price of its last sale."""
    for asset in truth.books.assets:
        sold = _complete_cycles(truth, asset)
        if not sold:
            continue
        price = num(sold[-1], "sold_proceeds") / num(sold[-1], "sold_qty")
        if abs(num(asset, "last_sell_price") - price) > PRICE_STEP + price * NEAR:
            yield f"{asset['asset_symbol']}: last_sell_price is {asset['last_sell_price']}, not {price:.10f}"


def _complete_cycles(truth: Truth, asset: Row) -> list[Row]:
    found = [cycle for cycle in truth.books.cycles if int(cycle["asset_id"]) == int(asset["id"])]
    done = [cycle for cycle in found if cycle["status"] == "complete" and num(cycle, "sold_qty") > 0]
    return sorted(done, key=lambda cycle: int(cycle["id"]))


def i25_money(truth: Truth) -> Iterator[str]:
    """Cash and coins at the exchange are what the executions make of them, to the cent."""
    state = truth.books.state
    start = next(truth.entries("start"), None)
    executions = list(truth.entries("execution"))
    if state and start is not None:
        expected = num(start, "start_cash") + sum((dollars(each) for each in executions), ZERO)
        if abs(num(state, "cash") - expected) >= CENT:
            yield f"the exchange has {state['cash']} dollars, its executions make {expected:.4f}"
    for symbol in truth.symbols() if state else []:
        deposits = sum((num(e, "qty") for e in truth.entries("deposit") if e["symbol"] == symbol), ZERO)
        expected = deposits + sum((coins(each) for each in executions if each["symbol"] == symbol), ZERO)
        there = num(state.get("positions", {}).get(symbol, {}), "qty")
        if abs(there - expected) > FEE_STEP:
            yield f"{symbol}: the exchange has {plain(there)} coins, its executions make {plain(expected)}"


def i25_profits(truth: Truth) -> Iterator[str]:
    """A complete cycle's net profit is the executions' truth to the cent; where the bot has not been told
    of a sale's executions yet, with the fee that it has to assume until then. A tier shows in coins only:
    a sale between the change of one and the next buy is booked at the rate before."""
    for cycle in truth.books.cycles:
        if cycle["status"] != "complete":
            continue
        profit = sum((_dollars_of(truth, row) for row in truth.ledger_of_cycle(cycle)), ZERO)
        unknown = sum((_misjudged(truth, row) for row in truth.ledger_of_cycle(cycle)), ZERO)
        if abs(num(cycle, "net_profit") - profit) >= CENT + unknown:
            yield f"cycle {cycle['id']}: net_profit is {num(cycle, 'net_profit'):.4f}, in truth {profit:.4f}"


def _dollars_of(truth: Truth, row: Row) -> Decimal:
    """What an order did to the cash."""
    fills = truth.fills(row)
    if row["side"] == "buy" or row["fee_source"] != "assumed":
        return sum((dollars(each) for each in fills), ZERO)
    # From the ledger's value (I06 compares that): a fee is a cent more where the value is a hair more.
    fee = _fee(num(row, "filled_value"), num(row, "fee_rate"))
    return gross(fills)[1] - fee


def _misjudged(truth: Truth, row: Row) -> Decimal:
    """Dollars by which a sale's fees differ from those at the rate in its row."""
    if row["side"] == "buy":
        return ZERO
    rate = num(row, "fee_rate")
    return sum(
        (
            abs(_fee(num(each, "qty") * num(each, "price"), rate) - num(each, "fee_usd"))
            for each in truth.fills(row)
        ),
        ZERO,
    )


def _fee(value: Decimal, rate: Decimal) -> Decimal:
    return (value * rate).quantize(CENT, rounding=ROUND_UP)


def i27_cooldown_respected(truth: Truth) -> Iterator[str]:
    """No base order before the cooldown is over, unless the price had fallen far enough below the sale."""
    for cycle in truth.books.cycles:
        began = when(cycle, "cooldown_started_at")
        base = next(iter(truth.ledger_of_cycle(cycle)), None)
        if began is None or base is None:
            continue
        created = when(base, "created_at")
        asset = truth.asset_of(cycle)
        ends = began + timedelta(seconds=int(num(asset, "cooldown_period")))
        if created is None or created >= ends:
            continue
        limit = restart_price(truth, cycle)
        if limit is None or min(_asks(truth, cycle, base)) > limit:
            yield (
                f"cycle {cycle['id']} of {asset['asset_symbol']} began at {created}, before {ends}, "
                f"and the ask had not fallen to {'any price' if limit is None else f'{limit:.10f}'}"
            )


def restart_price(truth: Truth, cycle: Row) -> Decimal | None:
    """The ask at which a cycle's cooldown ends early; None if there was no sale before it."""
    asset = truth.asset_of(cycle)
    before = [each for each in _complete_cycles(truth, asset) if int(each["id"]) < int(cycle["id"])]
    if not before:
        return None
    sale = (num(before[-1], "sold_proceeds") / num(before[-1], "sold_qty")).quantize(
        PRICE_STEP, rounding=ROUND_DOWN
    )
    return (sale + PRICE_STEP) * (1 - num(asset, "buy_order_price_deviation_percent") / 100)


def _asks(truth: Truth, cycle: Row, base: Row) -> list[Decimal]:
    """The asks that are known to have been there: at the base order, and at the cooldown's end."""
    ends = [row for row in truth.books.cooldown_ends if int(row["cycle_id"]) == int(cycle["id"])]
    return [num(base, "quote_price"), *(num(row, "ask") for row in ends)]
