"""The operator's view: one plain line per fact, told from the exchange's journal and the bot's tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from demo.numbers import coins, money, percent, price
from demo.rows import Row, num, when

Tables = Mapping[str, Sequence[Row]]
_ENDED_UNFILLED = frozenset({"canceled", "expired", "rejected"})


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fact:
    """Something that happened. `kind` is for color only."""

    at: datetime
    symbol: str
    text: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S}  {self.symbol:<9} {self.text}"


class View:
    """Remembers what was told, and tells what is new."""

    def __init__(self) -> None:
        self._open_orders: dict[str, str] = {}  # by the exchange's id: the last status that was told
        self._profits: dict[int, str] = {}  # by complete cycle: the net profit that was told
        self._begun: set[int] = set()
        self._problems: dict[str, object] = {}

    def news(self, entries: Sequence[Row], tables: Tables) -> list[Fact]:
        """What is new, in the order in which it happened. The tables must be read after the journal."""
        facts: list[Fact] = []
        ledger = {str(row["client_order_id"]): row for row in tables["dca_orders"]}
        for entry in entries:
            if entry["kind"] == "order":
                facts += self._order(entry, ledger, tables)
            elif entry["kind"] == "execution":
                facts += self._execution(entry, ledger)
        facts += self._cycles(tables)
        facts += self._troubles(tables)
        return sorted(facts, key=lambda fact: fact.at)

    def _order(self, entry: Row, ledger: Mapping[str, Row], tables: Tables) -> list[Fact]:
        order = entry["order"]
        row = ledger.get(str(order["client_order_id"]))
        told = self._open_orders.get(str(order["id"]))
        if row is None or told == order["status"]:
            return []
        self._open_orders[str(order["id"])] = str(order["status"])
        at, symbol = _at(entry), str(row["symbol"])
        facts = []
        if told is None:
            facts += self._begins(row, tables)
            facts.append(Fact(at=at, symbol=symbol, text=_placed(row, tables), kind=str(row["side"])))
        if order["status"] in _ENDED_UNFILLED:
            filled = f"{coins(num(order, 'filled_qty'))} of {coins(num(order, 'qty'))}"
            text = f"{order['status']}, {filled} was filled"
            facts.append(Fact(at=at, symbol=symbol, text=text))
        return facts

    def _begins(self, row: Row, tables: Tables) -> list[Fact]:
        """How the cooldown of this order's cycle ended, told with its first order."""
        cycle = _by_id(tables["dca_cycles"], row["cycle_id"])
        if cycle is None or int(cycle["id"]) in self._begun:
            return []
        self._begun.add(int(cycle["id"]))
        text = cooldown_end(cycle, row, tables)
        return [] if text is None else [Fact(at=_at(row, "created_at"), symbol=row["symbol"], text=text)]

    def _execution(self, entry: Row, ledger: Mapping[str, Row]) -> list[Fact]:
        row = ledger.get(str(entry["client_order_id"]))
        if row is None:
            return []
        fee = f"{coins(num(entry, 'fee_qty'))} {str(entry['symbol']).partition('/')[0]}"
        if entry["side"] == "sell":
            fee = money(num(entry, "fee_usd"))
        whole = num(entry, "cum_qty") >= num(row, "qty")
        what = (
            "filled" if whole else f"partly filled ({coins(num(entry, 'qty'))} of {coins(num(row, 'qty'))})"
        )
        text = f"{what} at {price(num(entry, 'price'))}, fee {fee}"
        return [Fact(at=_at(entry), symbol=str(entry["symbol"]), text=text)]

    def _cycles(self, tables: Tables) -> list[Fact]:
        facts = []
        for cycle in tables["dca_cycles"]:
            if cycle["status"] != "complete":
                continue
            key, profit = int(cycle["id"]), money(num(cycle, "net_profit"))
            told = self._profits.get(key)
            self._profits[key] = profit
            if told is None:
                facts += _completed(cycle, tables, number=len(self._profits))
            elif told != profit:
                facts.append(_corrected(cycle, tables, told))
        return facts

    def _troubles(self, tables: Tables) -> list[Fact]:
        """Locks of assets and problems of cycles, when they appear."""
        facts = []
        for asset in tables["dca_assets"]:
            problems = [("locked", f"a{asset['id']}", asset.get("lock_reason"))]
            problems += [
                ("problem", f"c{cycle['id']}", cycle.get("problem"))
                for cycle in tables["dca_cycles"]
                if cycle["asset_id"] == asset["id"]
            ]
            for what, key, text in problems:
                if text and self._problems.get(key) != text:
                    at = datetime.now(UTC)
                    facts.append(
                        Fact(at=at, symbol=asset["asset_symbol"], text=f"{what}: {text}", kind="bad")
                    )
                self._problems[key] = text
        return facts


def _placed(row: Row, tables: Tables) -> str:
    qty = coins(num(row, "qty"))
    if row["purpose"] == "take_profit":
        cycle = _by_id(tables["dca_cycles"], row["cycle_id"]) or {}
        average = num(cycle, "average_purchase_price")
        bid = num(row, "quote_price")
        where = f"{percent((bid / average - 1) * 100)} above average" if average else price(bid)
        return f"take-profit: sell all {qty}, bid {where}"
    name = (
        "base order"
        if row["purpose"] == "base"
        else f"safety order {row['level']}/{row['max_safety_orders']}"
    )
    dollars = money(num(row, "qty") * num(row, "limit_price"))
    return f"{name}: buy {qty} for {dollars} at {price(num(row, 'limit_price'))}"


def _completed(cycle: Row, tables: Tables, *, number: int) -> list[Fact]:
    asset = _by_id(tables["dca_assets"], cycle["asset_id"]) or {}
    sale = [row for row in tables["dca_orders"] if row["cycle_id"] == cycle["id"] and row["side"] == "sell"]
    at = max(_at(row, "closed_at") for row in sale)
    symbol = str(asset["asset_symbol"])
    profit = num(cycle, "net_profit")
    sold_at = num(cycle, "sold_proceeds") / num(cycle, "sold_qty")
    text = (
        f"cycle complete ({number}): net profit {money(profit)}, {money(num(cycle, 'bought_cost'))} at "
        f"{price(num(cycle, 'average_purchase_price'))}, sold at {price(sold_at)}"
    )
    facts = [Fact(at=at, symbol=symbol, text=text, kind="good" if profit >= 0 else "bad")]
    after = next((row for row in tables["dca_cycles"] if _follows(row, cycle)), None)
    if after is not None and after.get("cooldown_started_at"):
        restart = sold_at * (1 - num(asset, "buy_order_price_deviation_percent") / 100)
        text = f"cooldown begins: {asset['cooldown_period']} s, or until the ask falls to {price(restart)}"
        facts.append(Fact(at=at + timedelta(microseconds=1), symbol=symbol, text=text))
    return facts


def _corrected(cycle: Row, tables: Tables, told: str) -> Fact:
    """The exact fees came after the cycle was complete."""
    symbol = str((_by_id(tables["dca_assets"], cycle["asset_id"]) or {})["asset_symbol"])
    text = f"its exact fees are known: net profit {money(num(cycle, 'net_profit'))}, not {told}"
    return Fact(at=datetime.now(UTC), symbol=symbol, text=text)


def _follows(row: Row, cycle: Row) -> bool:
    return row["asset_id"] == cycle["asset_id"] and int(row["id"]) > int(cycle["id"])


def ended_early(cycle: Row, base: Row, asset: Row) -> bool | None:
    """Whether a cycle's cooldown ended before its time; None if it had none."""
    began, created = when(cycle, "cooldown_started_at"), when(base, "created_at")
    if began is None or created is None:
        return None
    return created < began + timedelta(seconds=int(num(asset, "cooldown_period")))


def cooldown_end(cycle: Row, base: Row, tables: Tables) -> str | None:
    """How a cooldown ended, in words; None if there was none."""
    asset = _by_id(tables["dca_assets"], cycle["asset_id"])
    began = when(cycle, "cooldown_started_at")
    early = None if asset is None else ended_early(cycle, base, asset)
    if asset is None or began is None or early is None:
        return None
    if not early:
        return f"cooldown ran out after {asset['cooldown_period']} s: next cycle"
    ends = [row for row in tables.get("cooldown_ends", ()) if int(row["cycle_id"]) == int(cycle["id"])]
    ask = num(ends[0], "ask") if ends else num(base, "quote_price")
    fallen = (1 - ask / num(asset, "last_sell_price")) * 100
    return f"cooldown ended early: ask {price(ask)}, {percent(fallen)} below the sale"


def _by_id(rows: Sequence[Row], key: object) -> Row | None:
    return next((row for row in rows if row["id"] == key), None)


def _at(row: Row, name: str = "at") -> datetime:
    found = when(row, name)
    return found if found is not None else datetime.now(UTC)
