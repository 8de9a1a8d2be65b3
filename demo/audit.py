"""The independent audit: every invariant that two books at rest can show, one small function each.

`python -m demo.audit DIR` audits what `./bot demo --export DIR` left.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo import invariants_cycles as cycles
from demo import invariants_orders as orders
from demo.rows import Books, load
from demo.truth import Truth

Check = Callable[[Truth], Iterator[str]]

INVARIANTS: tuple[tuple[str, Check], ...] = (
    ("I01", orders.i01_one_live_order),
    ("I02", orders.i02_one_open_order_at_the_exchange),
    ("I03", orders.i03_one_order_per_intent),
    ("I04", orders.i04_written_before_sent),
    ("I05", orders.i05_ledger_not_ahead),
    ("I06", orders.i06_ledger_equals_exchange),
    ("I07", cycles.i07_cycles_follow_from_the_ledger),
    ("I08", cycles.i08_never_oversold),
    ("I09", cycles.i09_position_covers_the_cycles),
    ("I10", cycles.i10_foreign_coins_untouched),
    ("I11", cycles.i11_budget),
    ("I12", cycles.i12_levels),
    ("I13", cycles.i13_one_live_cycle),
    ("I14", cycles.i14_status_agrees),
    ("I14", cycles.i14_last_sell_price),
    ("I16", orders.i16_decided_on_a_fresh_quote),
    ("I17", orders.i17_prices_of_orders),
    ("I18", orders.i18_nothing_goes_back),
    ("I22", orders.i22_epochs_do_not_fall),
    ("I25", cycles.i25_money),
    ("I25", cycles.i25_profits),
    ("I26", orders.i26_only_ours_was_touched),
    ("I27", cycles.i27_cooldown_respected),
    ("I30", orders.i30_nothing_unexplained),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold, and where."""

    number: str
    text: str

    def __str__(self) -> str:
        return f"violation {self.number}: {self.text}"


def audit(books: Books) -> list[Violation]:
    """Check every invariant against the two books."""
    truth = Truth(books)
    return [Violation(number=number, text=text) for number, check in INVARIANTS for text in check(truth)]


def verdict(books: Books, violations: Sequence[object]) -> str:
    """The demo's last line."""
    complete = sum(cycle["status"] == "complete" for cycle in books.cycles)
    return f"demo: {complete} cycles complete, {len(books.orders)} orders, {len(violations)} violations"


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m demo.audit DIR", file=sys.stderr)
        return 2
    try:
        books = load(Path(arguments[0]))
    except (OSError, ValueError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    violations = audit(books)
    for violation in violations:
        print(violation)
    print(verdict(books, violations))
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
