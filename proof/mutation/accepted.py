"""Mutants that survive and change nothing that matters, each with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """`old` and `new` are the lines that differ, as ./bot mutate shows them, without indentation."""

    module: str
    function: str
    old: str
    new: str
    why: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.module, self.function, self.old, self.new)


ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        module="core/strategy",
        function="decide",
        old="if reach.bid_at_least is not None and reach.asks_for_sell(quote, now):",
        new="if (reach.asks_for_sell(quote, now)):",
        why="asks_for_sell says no without a price; only the types need it said twice",
    ),
    Accepted(
        module="core/strategy",
        function="decide",
        old="if reach.ask_at_most is None or not reach.asks_for_buy(quote, now):",
        new="if (not reach.asks_for_buy(quote, now)):",
        why="asks_for_buy says no without a price; only the types need it said twice",
    ),
    Accepted(
        module="core/strategy",
        function="decide",
        old="if reach.ask_at_most is None or not reach.asks_for_buy(quote, now):",
        new="if (reach.ask_at_most is None or not reach.asks_for_buy(quote, now)) and False:",
        why="a level was reached, and it is neither the sale's nor a cooldown's: it is the buy's",
    ),
    Accepted(
        module="core/strategy",
        function="decide",
        old="if reach.ask_at_most is None or not reach.asks_for_buy(quote, now):",
        new="if (reach.ask_at_most is None):",
        why="a level was reached, and it is neither the sale's nor a cooldown's: it is the buy's",
    ),
    Accepted(
        module="core/strategy",
        function="_end_cooldown",
        old="if reach.wake_at is not None and now >= reach.wake_at:",
        new="if (now >= reach.wake_at):",
        why="a cooldown always has a time; only the types do not know it",
    ),
    Accepted(
        module="core/strategy",
        function="_rounded",
        old="return plain(price.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_DOWN))",
        new="return plain(price.quantize(Decimal(2).scaleb(-digits), rounding=ROUND_DOWN))",
        why="quantize takes the exponent only",
    ),
    Accepted(
        module="trading/quote_confirmation",
        function="<module>",
        old="PAUSE_SECONDS = 2.0",
        new="PAUSE_SECONDS = 3.0",
        why="a pause between two questions, of which nothing is promised",
    ),
    Accepted(
        module="core/lifecycle",
        function="<module>",
        old="_MANY_REFUSALS = 1000",
        new="_MANY_REFUSALS = 10000",
        why="a number that keeps a column from overflowing; pauses are the longest from the sixth refusal on",
    ),
    Accepted(
        module="core/lifecycle",
        function="back_off",
        old="doublings = min(max(refusals - 1, 0), 10)",
        new="doublings = min(max(refusals - 1, 0), 100)",
        why="the pause is cut to the longest all the same",
    ),
    Accepted(
        module="core/invariants",
        function="_levels",
        old="used = nth + sum(each.level for each in adopted if each.seq < order.seq)",
        new="used = nth + sum(each.level for each in adopted if each.seq <= order.seq)",
        why="no two orders of a cycle have one number",
    ),
    Accepted(
        module="trading/quote_confirmation",
        function="SecondLook._confirmed",
        old="if self._clock.monotonic() < self._desk.unconfirmed_until.get(symbol, 0.0):",
        new="if self._clock.monotonic() < self._desk.unconfirmed_until.get(symbol, 1.0):",
        why="a machine has been up for a second before anything is traded on it",
    ),
    Accepted(
        module="trading/main_loop",
        function="MainLoop.regularly",
        old="if now < self._due.get(name, 0.0):",
        new="if now < self._due.get(name, 1.0):",
        why="a machine has been up for a second before anything is traded on it",
    ),
    Accepted(
        module="trading/main_loop",
        function="<module>",
        old="CLOCK_SECONDS = 3600.0",
        new="CLOCK_SECONDS = 3601.0",
        why="a second more in an hour",
    ),
    Accepted(
        module="trading/main_loop",
        function="MainLoop.tick",
        old='self.regularly("silence", SILENT_SECONDS / 3, self._hearing.probe)',
        new='self.regularly("XXsilenceXX", SILENT_SECONDS / 3, self._hearing.probe)',
        why="the name of a task in the log",
    ),
    Accepted(
        module="exchange/request_budget",
        function="<module>",
        old="_LEFT_PERCENT = {Kind.EXIT: -1, Kind.LOOK_UP: 15, Kind.ORDINARY: 30}",
        new="_LEFT_PERCENT = {Kind.EXIT: -2, Kind.LOOK_UP: 15, Kind.ORDINARY: 30}",
        why="any number below zero is never reached",
    ),
    Accepted(
        module="exchange/request_budget",
        function="Pace.__init__",
        old="self._left = self._limit = 0",
        new="pass",
        why="both are set together with the time until which they count, and not read before",
    ),
    Accepted(
        module="exchange/request_budget",
        function="Pace.__init__",
        old="self._left = self._limit = 0",
        new="self._left = self._limit = 1",
        why="both are set together with the time until which they count, and not read before",
    ),
    Accepted(
        module="exchange/request_budget",
        function="Pace.answered",
        old="grown = _FIRST_SECONDS * 2 ** min(self._refusals - 1, 10)",
        new="grown = _FIRST_SECONDS * 2 ** min(self._refusals - 1, 100)",
        why="the pause is cut to the longest all the same",
    ),
    Accepted(
        module="core/ledger",
        function="<module>",
        old="_STATUS_RANK = {status: rank for rank, status in enumerate(_STATUSES_IN_ORDER, start=1)}",
        new="_STATUS_RANK = {status: rank for rank, status in enumerate(_STATUSES_IN_ORDER, start=2)}",
        why="ranks have to grow from above that of an unknown status, from which number on is the same",
    ),
)
KEYS = frozenset(each.key for each in ACCEPTED)
