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
)
KEYS = frozenset(each.key for each in ACCEPTED)
