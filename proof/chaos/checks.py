"""The invariants (faults.md C) as a chaos run can check them: class S every few seconds, all at the end.

They are demo's, which share no code with the bot. Some are worded anew for what happens here only: a person
edits rows and trades by hand, the bot's clock steps, lines of its log are lost with a full disk.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from demo import invariants_cycles as cycles
from demo import invariants_orders as orders
from demo.audit import Violation
from demo.rows import ZERO, Books, Row, flag, num, when
from demo.truth import CENT, CLOSED, FEE_STEP, LIVE_STATES, Truth, coins, dollars, gross, plain
from proof.chaos.books import BOOKED_BY_A_PERSON, ChaosTruth, Ledgers, without_outside

Check = Callable[[Truth], Iterator[str]]
Interval = tuple[datetime, datetime]
Step = tuple[datetime, float]
BLIND_AROUND = timedelta(seconds=15)
TAKER = Decimal("0.0025")
_SOLD_ON_WISH = "exit"
EXCHANGE_OUTPUT = "exchange.out"
"""Its first line hands out the keys, and a connection that a fault drops leaves a trace in it."""
_TRACE = re.compile(r"Traceback|CRITICAL|crash - -")


# ---- worded anew -----------------------------------------------------------------------------------------


def i09_position_covers_the_cycles(truth: Truth) -> Iterator[str]:
    """What the ledger holds is there, but for what a person sold; and no more than fees explain."""
    outside: dict[str, Decimal] = defaultdict(Decimal)
    for row in truth.books.orders:
        if row["purpose"] in BOOKED_BY_A_PERSON:
            sign = 1 if row["side"] == "buy" else -1
            outside[str(row["symbol"])] += sign * num(row, "filled_qty")
    for symbol in truth.symbols():
        executions = truth.our_executions(symbol)
        position = sum((coins(each) for each in executions), ZERO) + outside[symbol]
        mine = [c for c in truth.books.cycles if truth.asset_of(c)["asset_symbol"] == symbol]
        held = sum((num(c, "quantity") for c in mine), ZERO)
        steps = FEE_STEP * max(len(executions), 1)
        bought, _ = gross([each for each in executions if each["side"] == "buy"])
        if held > position + steps:
            yield f"{symbol}: the ledger holds {plain(held)}, the exchange has {plain(position)} of ours"
        if position - held > bought * cycles.MAKER_DISCOUNT + steps:
            yield f"{symbol}: the exchange has {plain(position)} of ours, the ledger only {plain(held)}"


def i11_budget(truth: Truth) -> Iterator[str]:
    """A cycle never costs more than its base and safety orders at the largest that stood at its claims."""
    for cycle in truth.books.cycles:
        rows = [row for row in truth.ledger_of_cycle(cycle) if row["purpose"] not in BOOKED_BY_A_PERSON]
        most = _largest(rows, "base_order_amount")
        most += _largest(rows, "max_safety_orders") * _largest(rows, "safety_order_amount")
        spent = ZERO
        for row in (row for row in rows if row["side"] == "buy"):
            qty, cost = gross(truth.fills(row))
            open_qty = max(num(row, "qty") - qty, ZERO) if row["state"] in LIVE_STATES else ZERO
            spent += cost + open_qty * num(row, "limit_price")
        if spent > most * Decimal("1.01"):
            yield f"cycle {cycle['id']} has spent {spent:.2f} dollars, and may spend {most:.2f}"


def _largest(rows: list[Row], name: str) -> Decimal:
    return max((num(row, name) for row in rows), default=ZERO)


def i13_one_live_cycle(truth: Truth) -> Iterator[str]:
    """One live cycle for each asset that has ever had one, and never two."""
    for asset in truth.books.assets:
        mine = [c for c in truth.books.cycles if int(c["asset_id"]) == int(asset["id"])]
        live = sum(cycle["status"] not in cycles.ENDED for cycle in mine)
        if live > 1 or (mine and live == 0):
            yield f"{asset['asset_symbol']} has {live} live cycles"


def i14_last_sell_price(truth: Truth) -> Iterator[str]:
    """As in the demo, but for assets of which a person sold."""
    odd = set()
    for cycle in truth.books.cycles:
        outside = any(row["purpose"] in BOOKED_BY_A_PERSON for row in truth.ledger_of_cycle(cycle))
        if cycle["status"] == "error" or outside:
            odd.add(cycle["asset_id"])
    assets = [asset for asset in truth.books.assets if asset["id"] not in odd]
    yield from cycles.i14_last_sell_price(ChaosTruth(replace(truth.books, assets=assets)))


def i17_prices_of_orders(truth: Truth) -> Iterator[str]:
    """As in the demo, but for sales that a person asked for at any price."""
    at_any_price = {*BOOKED_BY_A_PERSON, _SOLD_ON_WISH}
    rows = [row for row in truth.books.orders if row["purpose"] not in at_any_price]
    yield from orders.i17_prices_of_orders(ChaosTruth(replace(truth.books, orders=rows)))


def i25_profits(truth: Truth) -> Iterator[str]:
    """A complete cycle's net profit is the executions' truth to the cent; while a fee's row is still to come
    it may be off by a cent for each execution, to which fees are rounded."""
    for cycle in truth.books.cycles:
        rows = truth.ledger_of_cycle(cycle)
        if cycle["status"] != "complete" or any(row["purpose"] in BOOKED_BY_A_PERSON for row in rows):
            continue
        fills = [each for row in rows for each in truth.fills(row)]
        profit = sum((dollars(each) for each in fills), ZERO)
        guessed = any(row["fee_source"] == "assumed" and num(row, "filled_qty") for row in rows)
        allowed = CENT * len(fills) if guessed else CENT
        unbooked = sum((_discount(each) for each in fills), ZERO)
        if not -allowed < profit - num(cycle, "net_profit") < allowed + unbooked:
            yield f"cycle {cycle['id']}: net_profit is {num(cycle, 'net_profit'):.4f}, in truth {profit:.4f}"


def _discount(execution: Row) -> Decimal:
    """Dollars that a sale paid less than the taker's fee, which is what is booked (docs/decisions.md)."""
    if execution["side"] != "sell":
        return ZERO
    return max(num(execution, "qty") * num(execution, "price") * TAKER - num(execution, "fee_usd"), ZERO)


def _cooldowns(books: Books, blind: Sequence[Interval]) -> Iterator[str]:
    """I27 as in the demo. The log's line that names the ask which ended a cooldown is lost with a full disk,
    and when main_app is killed just then: what began at such a time is left out."""
    truth = ChaosTruth(without_outside(books))
    for text in cycles.i27_cooldown_respected(truth):
        number = int(text.split()[1])
        began = [when(row, "created_at") for row in books.orders if int(row["cycle_id"]) == number][:1]
        if not any(_is_blind(each, blind) for each in began if each is not None):
            yield text


def _is_blind(moment: datetime, blind: Sequence[Interval]) -> bool:
    return any(first - BLIND_AROUND <= moment <= last + BLIND_AROUND for first, last in blind)


def given_up_and_there(truth: Truth) -> Iterator[str]:
    """No order was given up that the exchange had: nothing is under way for as long as the quiet period."""
    for row in truth.books.orders:
        if row["state"] == "ghost":
            yield f"{row['client_order_id']} was given up, and was there"


def locked_for_no_reason(assets: Iterable[Row], sold_by_hand: Collection[str]) -> Iterator[str]:
    """Only what a person sold by hand may lock an asset."""
    for asset in assets:
        symbol, reason = str(asset["asset_symbol"]), asset["lock_reason"]
        if reason is not None and symbol not in sold_by_hand:
            yield f"{symbol} was locked, and nobody had traded by hand: {reason}"


def clean(check: Check) -> Check:
    """The check, on the books without what a person had booked."""
    return lambda truth: check(ChaosTruth(without_outside(truth.books)))


LIVE: tuple[tuple[str, Check], ...] = (
    ("I01", orders.i01_one_live_order),
    ("I02", orders.i02_one_open_order_at_the_exchange),
    ("I03", orders.i03_one_order_per_intent),
    ("I05", clean(orders.i05_ledger_not_ahead)),
    ("I07", cycles.i07_cycles_follow_from_the_ledger),
    ("I08", cycles.i08_never_oversold),
    ("I11", i11_budget),
    ("I12", clean(cycles.i12_levels)),
    ("I13", i13_one_live_cycle),
    ("I14", cycles.i14_status_agrees),
    ("I16", clean(orders.i16_decided_on_a_fresh_quote)),
    ("I17", i17_prices_of_orders),
    ("I22", clean(orders.i22_epochs_do_not_fall)),
    ("ghost", given_up_and_there),
)
"""Class S: what must hold in every committed state, looked at while everything goes wrong."""

AT_REST: tuple[tuple[str, Check], ...] = (
    *LIVE,
    ("I06", clean(orders.i06_ledger_equals_exchange)),
    ("I09", i09_position_covers_the_cycles),
    ("I10", cycles.i10_foreign_coins_untouched),
    ("I14", i14_last_sell_price),
    ("I18", orders.i18_nothing_goes_back),
    ("I25", cycles.i25_money),
    ("I25", i25_profits),
    ("I26", orders.i26_only_ours_was_touched),
    ("I30", clean(orders.i30_nothing_unexplained)),
)


def live(ledgers: Ledgers, sold_by_hand: Collection[str] = ()) -> Iterator[Violation]:
    """Read both books, and check class S. `sold_by_hand`: pairs of which a person has.

    Raises:
        DemoProblem: one of the two does not answer.
    """
    known = ledgers.read()
    ledger = {str(row["client_order_id"]) for row in ledgers.tables["dca_orders"]}
    for name in sorted(known - ledger):
        yield Violation(number="I04", text=f"{name} reached the exchange and is not in the ledger")
    for text in locked_for_no_reason(ledgers.tables["dca_assets"], sold_by_hand):
        yield Violation(number="lock", text=text)
    yield from audit(ledgers.window(), LIVE)


def audit(books: Books, invariants: tuple[tuple[str, Check], ...]) -> Iterator[Violation]:
    truth = ChaosTruth(books)
    for number, check in invariants:
        for text in check(truth):
            yield Violation(number=number, text=text)


def at_rest(books: Books, steps: Sequence[Step] = (), blind: Sequence[Interval] = ()) -> Iterator[Violation]:
    """Everything, on both whole books. `steps`: when the bot's clock was set to be how many seconds ahead.
    `blind`: when its log lost lines, by its own clock."""
    yield from audit(books, AT_REST)
    yield from (Violation(number="I27", text=text) for text in _cooldowns(books, blind))
    yield from (Violation(number="I04", text=text) for text in _written_before_sent(books, steps))


def _written_before_sent(books: Books, steps: Sequence[Step]) -> Iterator[str]:
    """Whatever reached the exchange was in the ledger before, every attempt of it. The time of writing is the
    bot's, whose clock was stepped."""
    truth = ChaosTruth(without_outside(books))
    for text in orders.i04_written_before_sent(truth):
        name = text.split()[0]
        row, seen = truth.ledger.get(name), truth.first_seen.get(name)
        created = None if row is None else when(row, "created_at")
        late = (created - seen).total_seconds() if created and seen else 0.0
        ahead = _most_ahead(steps, seen) if seen else 0.0
        if "before it was written down" not in text or late > ahead:
            yield text


def _most_ahead(steps: Sequence[Step], moment: datetime) -> float:
    """By how many seconds the bot's clock was ahead at most, in the minute before a moment."""
    ends = [at for at, _ in steps[1:]]
    times = zip(steps, [*ends, moment], strict=False)
    near = [ahead for (at, ahead), end in times if at <= moment and end >= moment - timedelta(minutes=1)]
    return max([0.0, *near])


def crashes(folder: Path) -> Iterator[Violation]:
    """What a bug leaves: a trace in a log or on an output."""
    for file in sorted(folder.rglob("*")):
        said = file.parent.name == "logs" or file.suffix == ".out"
        if said and file.is_file() and file.name != EXCHANGE_OUTPUT:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            found = [number for number, line in enumerate(lines, start=1) if _TRACE.search(line)]
            if found:
                where = ", ".join(str(number) for number in found[:5])
                text = f"{file} tells of {len(found)} in lines {where}: {lines[found[0] - 1][:160]}"
                yield Violation(number="crash", text=text)


def leaks(folder: Path, secrets: list[str]) -> Iterator[Violation]:
    """I24: no secret in anything that was written down, but for the file that is made of them."""
    for file in folder.rglob("*"):
        if not file.is_file() or file.name in {"env", EXCHANGE_OUTPUT}:
            continue
        content = file.read_bytes()
        if any(secret.encode() in content for secret in secrets):
            yield Violation(number="I24", text=f"a secret is in {file}")


def unsettled(ledgers: Ledgers) -> list[str]:
    """What still keeps the books from being compared; nothing if they are at rest."""
    waiting = [
        f"{row['client_order_id']} is {row['state']}"
        for row in ledgers.tables["dca_orders"]
        if row["state"] in LIVE_STATES
    ]
    ours = {str(row["client_order_id"]) for row in ledgers.tables["dca_orders"]}
    waiting += [
        f"{order['client_order_id']} is {order['status']} at the exchange"
        for order in ledgers.world.bourse.open_orders()
        if order["status"] not in CLOSED and str(order["client_order_id"]) in ours
    ]
    return waiting


def guessed_fees(ledgers: Ledgers) -> int:
    """Orders whose fee is still the assumed one."""
    rows = ledgers.tables["dca_orders"]
    return sum(row["fee_source"] == "assumed" and num(row, "filled_qty") > 0 for row in rows)


def locked(ledgers: Ledgers) -> set[str]:
    return {str(a["asset_symbol"]) for a in ledgers.tables["dca_assets"] if a["lock_reason"] is not None}


def enabled(ledgers: Ledgers) -> set[str]:
    return {str(a["asset_symbol"]) for a in ledgers.tables["dca_assets"] if flag(a, "is_enabled")}
