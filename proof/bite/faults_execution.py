"""Faults of orders that look at the order book (docs/execution.md)."""

from proof.bite.fault import Fault

_WALKS = "tests/core/test_liquidity.py::"
_BOOKS = "tests/core/test_book.py::"
_SALES = "tests/trading/test_take_profit_orders.py::"

FAULTS = (
    Fault(
        name="the-level-that-completes-a-quantity-is-not-counted",
        number="F16",
        file="dca/core/liquidity.py",
        old="        value += taken * price\n",
        new="        value += taken * price if size < left else 0\n",
        costs="every sale looks worse than it is, and none comes about",
        tests=(_WALKS + "test_the_level_that_completes_a_quantity_is_counted",),
    ),
    Fault(
        name="bids-for-asks",
        number="F16",
        file="dca/core/book.py",
        old="        levels = self._asks if side is Side.BUY else self._bids\n",
        new="        levels = self._bids if side is Side.BUY else self._asks\n",
        costs="a sale is decided by what sellers ask",
        tests=(_SALES + "test_one_good_bid_with_little_behind_it_sells_nothing",),
    ),
    Fault(
        name="changes-before-the-whole-book-count",
        number="F26",
        file="dca/core/book.py",
        old="        elif message.is_whole or self.is_complete:\n",
        new="        else:\n            self.is_complete = True\n",
        costs="decides by a fragment of a book",
        tests=(_BOOKS + "test_changes_before_the_whole_book_are_of_no_use",),
    ),
    Fault(
        name="a-book-with-odd-numbers-counts",
        number="F26",
        file="dca/core/book.py",
        old="        if not message.is_sane:\n",
        new="        if False:\n",
        costs="a price that is no number decides a sale",
        tests=(_BOOKS + "test_a_message_with_an_odd_number_makes_the_book_useless_until_the_next_whole_one",),
    ),
    Fault(
        name="an-old-book-sells",
        number="F16",
        file="dca/core/book.py",
        old="        if abs(age_seconds) > max_age_seconds:\n",
        new="        if False:\n",
        costs="sells by bids that are long gone",
        tests=(_SALES + "test_an_old_book_decides_nothing",),
    ),
    Fault(
        name="a-missing-book-is-a-good-one",
        number="F03",
        file="dca/trading/quote_confirmation.py",
        old='            return f"order book: {problem}"\n',
        new="            return None\n",
        costs="a failed look at the book sells at market",
        tests=(_SALES + "test_without_a_usable_book_the_operator_says_what_happens",),
    ),
    Fault(
        name="a-limit-below-break-even",
        number="F16",
        file="dca/core/selling.py",
        old="        return max(break_even_price(cycle, rules), round_up(least, rules.price_increment))\n",
        new="        return round_up(least, rules.price_increment)\n",
        costs="with a generous slippage a take-profit sells at a loss",
        tests=(_SALES + "test_the_limit_is_the_take_profit_less_slippage_and_never_below_break_even",),
    ),
    Fault(
        name="break-even-without-fees",
        number="F16",
        file="dca/core/selling.py",
        old="    return round_up(ledger.break_even_price(spent, sellable), rules.price_increment)\n",
        new="    return round_up(spent / sellable, rules.price_increment)\n",
        costs="a take-profit sells for less than it cost",
        tests=(
            _SALES + "test_the_limit_is_the_take_profit_less_slippage_and_never_below_break_even",
            "tests/proof/test_simulation.py::test_I33_no_limit_sells_at_a_loss",
        ),
    ),
    Fault(
        name="due-below-its-own-limit",
        number="F16",
        file="dca/core/selling.py",
        old="        return max(take_profit_price, break_even_price(cycle, rules))\n",
        new="        return take_profit_price\n",
        costs="an order that cannot fill is sent again and again",
        tests=(_SALES + "test_a_take_profit_below_break_even_is_due_at_break_even",),
    ),
    Fault(
        name="the-operators-sale-waits-for-the-book",
        number="F16",
        file="dca/core/strategy.py",
        old="    limit_price = None if wished else selling.limit_price(cycle, rules, target)\n",
        new="    limit_price = selling.limit_price(cycle, rules, target)\n",
        costs="who wants out in a fall does not get out",
        tests=(_SALES + "test_the_operators_sale_asks_for_no_book",),
    ),
    Fault(
        name="the-rest-is-sent-at-once",
        number="F54",
        file="dca/core/lifecycle.py",
        old="        again_at = now + IOC_PAUSE if",
        new="        again_at = now if",
        costs="a thin book is hit by an order for every quote, and the request budget is gone",
        tests=(_SALES + "test_what_the_book_did_not_take_is_sold_two_seconds_later_at_the_soonest",),
    ),
)
