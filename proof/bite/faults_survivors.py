"""Faults that once survived everything : the tests written then have to go on biting."""

from proof.bite.fault import Fault

FAULTS = (
    Fault(
        name="a-bid-confirmed-by-the-ask",
        number="F16",
        file="dca/trading/quote_confirmation.py",
        old="    if quote.bid >= at_least:\n",
        new="    if quote.ask >= at_least:\n",
        costs="sells at market at a price that nobody pays",
        tests=("tests/trading/test_quote_confirmation.py::test_a_sale_is_confirmed_by_what_buyers_pay",),
    ),
    Fault(
        name="only-the-first-page-of-executions",
        number="F06",
        file="dca/exchange/activities.py",
        old="    for _ in range(_MAX_PAGES_OF_ORDERS):\n",
        new="    for _ in range(1):\n",
        costs="on a busy account fees stay what was assumed, and profit with them",
        tests=(
            "tests/exchange/test_activities.py"
            "::test_fills_of_an_order_are_looked_for_on_the_second_page_too_and_no_further",
        ),
    ),
    Fault(
        name="one-fee-is-confirmed-and-none-after-it",
        number="F06",
        file="dca/trading/inbox.py",
        old="            self._is_confirming &= not isinstance(item, ConfirmFee)\n",
        new="",
        costs="fees stay what was assumed until the next start",
        tests=("tests/trading/test_fees.py::test_the_fee_of_each_order_of_a_life_is_confirmed",),
    ),
    Fault(
        name="every-pause-is-the-longest-in-the-end",
        number="F10",
        file="dca/exchange/reconnect_delay.py",
        old="        self._failures = 0 if lasted_seconds > STEADY_SECONDS else self._failures + 1\n",
        new="        self._failures += 1\n",
        costs="after a handful of reconnects in its life each one is half a minute without quotes",
        tests=(
            "tests/exchange/test_stream_connections.py::test_the_pause_grows_with_every_failure_in_a_row_and_a_good_connection"
            "_makes_it_short_again",
        ),
    ),
    Fault(
        name="a-wish-to-sell-dust",
        number="F84",
        file="dca/core/lifecycle.py",
        old="    wish = current.exit_requested_at if sellable else None",
        new="    wish = current.exit_requested_at if current.quantity > 0 else None",
        costs="with a little left that cannot be sold the asset never trades again",
        tests=(
            "tests/trading/test_sell_requests.py::test_a_wish_to_sell_ends_where_what_is_left_cannot_be_sold",
        ),
    ),
    Fault(
        name="accepted-of-one-accepted-of-all",
        number="F95",
        file="dca/database/operations_tables.py",
        old='            " WHERE asset_symbol = %s AND command LIKE %s)",\n            asset_symbol,\n',
        new='            " WHERE command LIKE %s)",\n',
        costs="an asset whose books disagree trades again because another one was looked at",
        tests=(
            "tests/operator/test_accept.py::test_what_is_accepted_of_one_asset_keeps_the_other_locked",
            "tests/operator/test_accept.py"
            "::test_a_violation_is_accepted_by_a_word_for_its_own_asset_that_was_given_later",
        ),
    ),
    Fault(
        name="leftovers-of-all-are-accepted",
        number="F57",
        file="dca/operator/actions/holding.py",
        old="tx.leftover_cycles(_LONG_AGO) if late.asset_id == asset.id)",
        new="tx.leftover_cycles(_LONG_AGO))",
        costs="coins of an asset that nobody looked at are booked as sold at another one's price",
        tests=(
            "tests/trading/test_two_assets.py::test_accepting_of_one_books_nothing_of_what_the_other_has_left",
        ),
    ),
    Fault(
        name="the-orders-of-all-are-an-asset-s",
        number="F58",
        file="dca/trading/bookkeeper.py",
        old="[order for order in tx.open_orders() if order.asset_id == asset_id]",
        new="list(tx.open_orders())",
        costs="one asset's take-profit cancels another one's buy",
        tests=(
            "tests/trading/test_two_assets.py::test_an_asset_is_remembered_with_its_own_orders_only",
            "tests/trading/test_two_assets.py::test_a_take_profit_cancels_the_buys_of_its_own_asset_only",
        ),
    ),
    Fault(
        name="a-quote-wakes-nobody",
        number="F17",
        file="dca/trading/inbox.py",
        old="                self._ring(quote)\n",
        new="",
        costs="each order of a quiet pair leaves half a second late",
        tests=("tests/trading/test_inbox.py::test_a_worker_at_rest_is_woken_by_a_quote",),
    ),
    Fault(
        name="an-old-burst-keeps-buys-back",
        number="F28",
        file="dca/exchange/request_budget.py",
        old="                self._sent.popleft()\n",
        new="                self._sent.popleft()\n                break\n",
        costs="after a minute of many sells nothing is bought for another one",
        tests=(
            "tests/exchange/test_request_budget.py::test_a_burst_of_sells_a_minute_ago_keeps_no_buy_back",
        ),
    ),
    Fault(
        name="a-row-that-is-gone-ends-the-process",
        number="F50",
        file="dca/trading/worker.py",
        old="        except (LostRace, RowGone) as error:\n",
        new="        except KeyError as error:\n",
        costs="a backup that is restored under the running bot ends it, and counts as a crash",
        tests=("tests/trading/test_rows_gone.py::test_an_order_that_only_memory_knows_ends_no_process",),
    ),
    Fault(
        name="a-buy-whose-row-says-sell",
        number="F84",
        file="dca/core/ledger.py",
        old="    return _nonsense(row) if isinstance(row, Order) else None\n",
        new="    return None\n",
        costs="one edited word of an order's row ends main_app at every start",
        tests=("tests/database/test_unknown_words.py::test_an_unknown_word_of_an_order_locks_its_asset",),
    ),
    Fault(
        name="of-a-position-listed-twice-the-last-counts",
        number="F57",
        file="dca/exchange/parsing.py",
        old="    if len(by_symbol) != len(found):\n",
        new="    if not isinstance(found, list):\n",
        costs="coins that are there count as gone, and their cycle ends as error",
        tests=("tests/trading/test_odd_answers.py::test_a_position_that_is_listed_twice_is_no_list",),
    ),
    Fault(
        name="a-row-of-another-number-begins-anew",
        number="F84",
        file="dca/trading/cycle_writes.py",
        old="        orders = () if cycle.asset_id in rows else tx.orders(cycle.id)\n",
        new="        orders = ()\n",
        costs="what a pair holds is forgotten and bought again, when its table was loaded anew",
        tests=("tests/trading/test_rows_gone.py::test_a_row_of_another_number_does_not_begin_anew",),
    ),
)
