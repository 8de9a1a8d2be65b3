"""The auditor must bite: a good pair of books passes, and each single tampering is caught by its number."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from demo.audit import INVARIANTS, audit, main, verdict
from demo.rows import export, load
from tests.demo.good_book import PREFIX, Book, at

Tamper = Callable[[Book], object]


def entries(book: Book, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in book.journal if entry["kind"] == kind]


def order_events(book: Book, name: str) -> list[dict[str, Any]]:
    return [e for e in entries(book, "order") if e["order"]["client_order_id"] == PREFIX + name]


def row(book: Book, name: str) -> dict[str, Any]:
    return next(each for each in book.orders if each["client_order_id"] == PREFIX + name)


def second_order_of_an_intent(book: Book) -> None:
    event = order_events(book, "2-1-b")[-1]
    book.enter(60, "order", order=event["order"] | {"id": "x-again"}, manual=False)


def opened_beside_another(book: Book) -> None:
    """The canceled safety order is open again while its cycle's base order is."""
    first = order_events(book, "2-1-b")[0]
    other = order_events(book, "2-2-s1")[0]
    book.journal.append(first | {"order": first["order"] | {"id": "x-a"}})
    book.journal.append(other | {"order": other["order"] | {"id": "x-b"}})


def unledgered_order(book: Book) -> None:
    book.request(50, "POST", PREFIX + "9-1-b", "x-9")
    order = order_events(book, "2-1-b")[-1]["order"]
    new = order | {"id": "x-9", "client_order_id": PREFIX + "9-1-b", "status": "canceled", "filled_qty": "0"}
    book.enter(50, "order", order=new, manual=False)


def sold_before_bought(book: Book) -> None:
    """The sell's execution comes first: then more was sold than was held."""
    sell = next(e for e in entries(book, "execution") if e["side"] == "sell")
    book.journal.remove(sell)
    book.journal.insert(1, sell)


def a_second_sale(book: Book) -> None:
    sell = next(e for e in entries(book, "execution") if e["side"] == "sell")
    book.journal.append(sell | {"execution_id": "again"})


def a_level_twice(book: Book) -> None:
    row(book, "1-1-b").update(purpose="safety", level=1)


def early_without_a_fall(book: Book) -> None:
    row(book, "2-1-b").update(quote_price="60100", limit_price="60100")


def foreign_cancel(book: Book) -> None:
    """A person's order is canceled by a request over the API."""
    order = {"id": "m1", "client_order_id": "uuid", "status": "new", "side": "buy", "qty": "1"}
    book.enter(50, "order", order=order | {"filled_qty": "0", "symbol": "BTC/USD"}, manual=True)
    book.request(51, "DELETE", None, "m1")


def ledger_drifts_from_the_coins(book: Book) -> None:
    """The base order's fee is forgotten, in the ledger and in the totals alike."""
    row(book, "2-1-b").update(fee_qty="0")
    book.cycles[1].update(buy_fee_qty="0", quantity="0.0004")


def went_back(book: Book) -> None:
    last = row(book, "1-1-b")
    book.observations.append(last | {"version": 99})


def reopened_at_the_exchange(book: Book) -> None:
    book.journal.append(order_events(book, "1-1-b")[0])


TAMPERINGS: list[tuple[str, str, Tamper]] = [
    (
        "I01",
        "two live orders in a cycle",
        lambda b: [row(b, n).update(state="acked") for n in ("2-1-b", "2-2-s1")],
    ),
    ("I02", "two open orders at the exchange", opened_beside_another),
    ("I03", "an intent with two orders", second_order_of_an_intent),
    ("I04", "written down after it was seen", lambda b: row(b, "1-1-b").update(created_at=at(11))),
    ("I04", "sent more often than written down", lambda b: b.request(11, "POST", PREFIX + "1-1-b", "x-1-1")),
    ("I04", "never written down", unledgered_order),
    ("I05", "more filled than at the exchange", lambda b: row(b, "1-1-b").update(filled_qty="0.00041")),
    ("I06", "less filled than at the exchange", lambda b: row(b, "1-1-b").update(filled_qty="0.0003")),
    ("I06", "another average", lambda b: row(b, "1-1-b").update(filled_avg_price="60000.01")),
    ("I06", "another value", lambda b: row(b, "1-1-b").update(filled_value="24.01")),
    ("I06", "live here, ended there", lambda b: row(b, "2-2-s1").update(state="acked")),
    ("I06", "another quantity was sent", lambda b: row(b, "2-2-s1").update(qty="0.0005")),
    ("I06", "another side was sent", lambda b: row(b, "2-2-s1").update(side="sell")),
    ("I06", "another order's id", lambda b: row(b, "1-1-b").update(exchange_order_id="x-0")),
    ("I06", "a lost execution", lambda b: b.journal.remove(entries(b, "execution")[0])),
    *[
        ("I07", f"cycle's {name}", lambda b, name=name, value=value: b.cycles[0].update({name: value}))
        for name, value in {
            "quantity": "0.000001",
            "average_purchase_price": "59500.1",
            "safety_orders": 2,
            "last_order_fill_price": "59001",
            "latest_order_id": "x-1-2",
            "bought_qty": "0.0007",
            "bought_cost": "47.61",
            "buy_fee_qty": "0.000001",
            "sold_qty": "0.0007",
            "sold_proceeds": "48.04",
            "sell_fee": "0.12",
        }.items()
    ],
    ("I08", "sold before bought", sold_before_bought),
    ("I08", "offered more than held", lambda b: order_events(b, "1-3-tp")[0]["order"].update(qty="0.0009")),
    ("I09", "a fee forgotten", ledger_drifts_from_the_coins),
    ("I09", "coins forgotten", lambda b: b.cycles[1].update(quantity="0.0003")),
    ("I10", "foreign coins sold", a_second_sale),
    (
        "I11",
        "over budget",
        lambda b: [each.update(safety_order_amount="10", base_order_amount="5") for each in b.orders],
    ),
    ("I12", "a level filled twice", a_level_twice),
    ("I12", "too many safety orders", lambda b: row(b, "1-2-s1").update(max_safety_orders=0)),
    ("I13", "no live cycle", lambda b: b.cycles[2].update(status="error", completed_at=at(50))),
    ("I13", "two live cycles", lambda b: b.cycles[0].update(status="watching", completed_at=None)),
    ("I14", "buying without an order", lambda b: b.cycles[1].update(status="buying")),
    ("I14", "complete without a time", lambda b: b.cycles[0].update(completed_at=None)),
    ("I14", "complete with coins left", lambda b: b.cycles[0].update(quantity="0.0008")),
    ("I14", "cooldown with coins", lambda b: b.cycles[1].update(status="cooldown")),
    ("I14", "another last sell price", lambda b: b.assets[0].update(last_sell_price="60201")),
    ("I16", "decided on an old quote", lambda b: row(b, "1-1-b").update(quote_age_ms=20_000)),
    ("I17", "limit above the ask", lambda b: row(b, "1-1-b").update(quote_price="59999")),
    ("I17", "filled above the limit", lambda b: entries(b, "execution")[0].update(price="60001")),
    ("I17", "safety order too high", lambda b: row(b, "1-2-s1").update(quote_price="59500")),
    ("I17", "sold too low", lambda b: row(b, "1-3-tp").update(quote_price="60000")),
    ("I18", "ledger row went back", went_back),
    ("I18", "order reopened", reopened_at_the_exchange),
    ("I22", "an older start's order", lambda b: row(b, "1-1-b").update(epoch=2)),
    ("I25", "cash is missing", lambda b: setattr(b, "cash", b.cash - 1)),
    ("I25", "coins are missing", lambda b: b.coins.update({"BTC/USD": b.coins["BTC/USD"] / 2})),
    ("I25", "another profit", lambda b: b.cycles[0].update(net_profit="0.4")),
    ("I26", "another's order canceled", foreign_cancel),
    ("I26", "a foreign id", lambda b: b.request(50, "POST", "someone-else", None)),
    ("I26", "positions closed", lambda b: b.request(50, "DELETE", None, None).update(path="/v2/positions")),
    ("I27", "early without a fall", early_without_a_fall),
    ("I30", "in the ledger only", lambda b: row(b, "2-2-s1").update(client_order_id=PREFIX + "2-9-s1")),
    ("I30", "refused and there", lambda b: row(b, "1-1-b").update(state="rejected")),
]


def test_good_books_pass() -> None:
    assert audit(Book().books()) == []


@pytest.mark.parametrize(
    ("number", "tamper"),
    [pytest.param(number, tamper, id=f"{number} {name}") for number, name, tamper in TAMPERINGS],
)
def test_a_tampering_is_caught(number: str, tamper: Tamper) -> None:
    book = Book()
    tamper(book)
    found = {violation.number for violation in audit(book.books())}
    assert number in found, f"found only {found}"


def test_every_invariant_has_a_tampering() -> None:
    assert {number for number, _ in INVARIANTS} == {number for number, _, _ in TAMPERINGS}


def test_a_cooldown_that_the_bot_saw_end_may_be_followed_by_a_higher_price() -> None:
    book = Book()
    early_without_a_fall(book)
    book.cooldown_ends.append({"symbol": "BTC/USD", "cycle_id": 2, "ask": "59800"})
    assert "I27" not in {violation.number for violation in audit(book.books())}


def test_a_fee_that_is_booked_later_is_no_violation() -> None:
    """The last sale was filled in three parts, whose fees are rounded up one by one; the bot has not been
    told of the parts yet. Once it says that it has, its profit must be theirs."""
    book = Book()
    sale = next(e for e in entries(book, "execution") if e["side"] == "sell")
    second = sale | {"execution_id": "e3b", "qty": "0.000333", "fee_usd": "0.06", "cum_qty": "0.000666"}
    third = sale | {"execution_id": "e3c", "qty": "0.000132", "fee_usd": "0.02"}
    sale |= {"qty": "0.000333", "fee_usd": "0.06", "cum_qty": "0.000333"}
    at_sale = book.journal.index(sale) + 1
    book.journal[at_sale:at_sale] = [second, third]
    book.cash -= Decimal("0.01")
    row(book, "1-3-tp")["fee_source"] = "assumed"
    assert audit(book.books()) == []
    book.cycles[0].update(net_profit="0.2996")
    assert {violation.number for violation in audit(book.books())} == {"I25"}
    book.cycles[0].update(net_profit="0.3096")
    row(book, "1-3-tp")["fee_source"] = "executions"
    assert {violation.number for violation in audit(book.books())} == {"I25"}


def test_a_base_order_after_the_cooldown_needs_no_fall() -> None:
    book = Book()
    early_without_a_fall(book)
    book.cycles[1]["cooldown_started_at"] = at(20)
    assert "I27" not in {violation.number for violation in audit(book.books())}


def test_a_maker_fee_below_the_assumed_one_is_no_violation() -> None:
    """The ledger assumes the taker's 25 bps; the exchange took 15: ten more are there than are booked."""
    book = Book()
    execution = next(e for e in entries(book, "execution") if e["client_order_id"] == PREFIX + "2-1-b")
    execution["fee_qty"] = "0.0000006"
    book.coins["BTC/USD"] += Decimal("0.0000004")
    assert audit(book.books()) == []


def test_an_export_audits_like_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = Book()
    export(book.books(), tmp_path)
    assert audit(load(tmp_path)) == []
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "demo: 1 cycles complete, 6 orders, 0 violations\n"


def test_a_tampered_export_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    book = Book()
    book.assets[0]["last_sell_price"] = "1"
    export(book.books(), tmp_path)
    assert main([str(tmp_path)]) == 1
    assert "violation I14: BTC/USD: last_sell_price is 1" in capsys.readouterr().out


def test_no_export_is_told(tmp_path: Path) -> None:
    assert main([str(tmp_path / "nothing")]) == 2


def test_the_verdict_counts() -> None:
    books = Book().books()
    assert verdict(books, []) == "demo: 1 cycles complete, 6 orders, 0 violations"
