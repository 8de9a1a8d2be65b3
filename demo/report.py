"""What the demo prints: lines as they come, and at the end the table of cycles."""

import sys

from rich.console import Console
from rich.table import Table

from demo.numbers import coins, money, price
from demo.rows import Books, num
from demo.truth import Truth, gross
from demo.view import Fact

STYLES = {"good": "green", "bad": "red", "buy": "cyan", "sell": "magenta", "market": "yellow"}
WIDTH = 100


class Terminal:
    """Plain lines; colors only where a terminal reads them."""

    def __init__(self) -> None:
        tty = sys.stdout.isatty()
        self._console = Console(
            width=None if tty else WIDTH + 20, highlight=False, color_system="auto" if tty else None
        )

    def line(self, text: str = "", kind: str = "") -> None:
        self._console.print(text, style=STYLES.get(kind), markup=False, emoji=False, soft_wrap=True)
        sys.stdout.flush()

    def fact(self, fact: Fact) -> None:
        self.line(str(fact), fact.kind)

    def cycles(self, books: Books) -> None:
        """The table of complete cycles, with the fees as the exchange took them."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("asset", "cycle", "safety", "bought", "for", "average", "sold at", "fees", "net profit"):
            table.add_column(name, justify="left" if name == "asset" else "right", no_wrap=True)
        truth = Truth(books)
        total = fees = num({}, "")
        for cycle in books.cycles:
            if cycle["status"] != "complete":
                continue
            fills = [each for row in truth.ledger_of_cycle(cycle) for each in truth.fills(row)]
            qty, spent = gross([each for each in fills if each["side"] == "buy"])
            sold, proceeds = gross([each for each in fills if each["side"] == "sell"])
            fee = sum((num(e, "fee_usd") + num(e, "fee_qty") * num(e, "price") for e in fills), num({}, ""))
            total, fees = total + num(cycle, "net_profit"), fees + fee
            table.add_row(
                str(truth.asset_of(cycle)["asset_symbol"]),
                str(cycle["id"]),
                str(cycle["safety_orders"]),
                coins(qty),
                money(spent),
                price(spent / qty) if qty else "-",
                price(proceeds / sold) if sold else "-",
                money(fee),
                money(num(cycle, "net_profit")),
            )
        if table.row_count:
            table.add_row("total", *[""] * 6, money(fees), money(total), style="bold")
            self._console.print(table)
