"""Faults of finding out what became of an order."""

from proof.bite.fault import Fault

BOOKS = "dca/trading/bookkeeper.py"
TRADER = "dca/trading/trader.py"
LOOP = "dca/trading/main_loop.py"

FAULTS = (
    Fault(
        name="failed-look-up-taken-for-not-found",
        number="F03",
        file=BOOKS,
        old="        snapshot = self._broker.order(order.client_order_id)\n",
        new="        try:\n"
        "            snapshot = self._broker.order(order.client_order_id)\n"
        "        except ExchangeUnavailable:\n"
        "            snapshot = None\n",
        more=(
            (
                "from dca.trading.watchlist import Desk\n",
                "from dca.trading.watchlist import Desk\nfrom dca.core.errors import ExchangeUnavailable\n",
            ),
        ),
        costs="an outage gives up orders that live at the exchange",
        tests=("tests/proof/test_bitten.py::test_an_outage_is_no_denial",),
    ),
    Fault(
        name="fills-of-unanswered-orders-dropped",
        number="F05",
        file=BOOKS,
        old='            tx.answer_attempt(before.id, attempt, "accepted")\n',
        new='            tx.answer_attempt(before.id, attempt, "accepted")\n'
        "        elif before.exchange_order_id is None:\n            return None\n",
        costs="events are matched by an id that is not known yet: the fill is lost, the cycle stuck",
        tests=(
            "tests/trading/test_races.py::test_F05_the_fill_event_comes_before_the_answer",
            "tests/trading/test_races.py::test_F01_accepted_but_the_answer_is_lost",
        ),
        also=("prove", "crash", "sweep"),
    ),
    Fault(
        name="no-quiet-period",
        number="F20",
        file=BOOKS,
        old="        if order.state is not OrderState.SENT or asked_at - order.last_sent_at < self._quiet:\n",
        new="        if order.state is not OrderState.SENT:\n",
        costs="an order that is on its way is given up, and another one placed",
        tests=(
            "tests/trading/test_races_settling.py::test_F20_not_found_is_no_proof_within_the_quiet_period",
        ),
    ),
    Fault(
        name="not-found-is-final",
        number="F20",
        file=BOOKS,
        old="        if order.state is not OrderState.SENT or asked_at - order.last_sent_at < self._quiet:\n",
        new="        if order.state is not OrderState.SENT:\n",
        more=(
            (
                "not_found_at=asked_at))\n            return False\n",
                "not_found_at=asked_at))\n            return True\n",
            ),
        ),
        costs="an order that is on its way is given up, and another one placed",
        tests=(
            "tests/trading/test_races_settling.py::test_F20_not_found_is_no_proof_within_the_quiet_period",
        ),
        also=("prove", "sweep", "crash"),
    ),
    Fault(
        name="one-denial-is-enough",
        number="F20",
        file=BOOKS,
        old="not_found_at=asked_at))\n            return False\n",
        new="not_found_at=asked_at))\n            return True\n",
        costs="a list that lags behind gives up a living order",
        tests=(
            "tests/trading/test_races_settling.py::test_F20_not_found_is_no_proof_within_the_quiet_period",
            "tests/proof/test_bitten.py::test_two_denials_in_one_second_are_one",
        ),
    ),
    Fault(
        name="second-denial-at-once",
        number="F20",
        file=BOOKS,
        old="        return asked_at - order.not_found_at >= self._quiet / 4\n",
        new="        return True\n",
        costs="two looks in the same second are one look",
        tests=("tests/proof/test_bitten.py::test_two_denials_in_one_second_are_one",),
    ),
    Fault(
        name="acknowledged-order-given-up",
        number="F23",
        file=BOOKS,
        old="        if order.state is not OrderState.SENT or asked_at - order.last_sent_at < self._quiet:\n",
        new="        if asked_at - order.last_sent_at < self._quiet:\n",
        more=(
            (
                "            if current.state is not OrderState.SENT or current.not_found_at is None:\n"
                "                return False\n",
                "            if current.not_found_at is None:\n                return False\n",
            ),
        ),
        costs="an order that the exchange has is declared void, and its fill comes out of nowhere",
        tests=("tests/proof/test_bitten.py::test_an_order_that_was_acknowledged_is_never_given_up",),
    ),
    Fault(
        name="new-id-on-retry",
        number="F21",
        file=TRADER,
        old="                self._send(order, attempt, started, tell)\n",
        new='                again = f"{order.client_order_id}-{attempt}"\n'
        "                self._send(replace(order, client_order_id=again), attempt, started, tell)\n",
        costs="both requests arrive: two orders for one intent",
        tests=(
            "tests/trading/test_races_settling.py::test_F20_an_order_that_never_arrived_is_sent_again_under_its_id",
            "tests/trading/test_races_settling.py::test_F21_a_duplicate_id_is_a_success_to_be_looked_up",
        ),
        also=("prove", "sweep", "crash"),
    ),
    Fault(
        name="refusal-final-at-once",
        number="F22",
        file=BOOKS,
        old="            if current.state is not OrderState.SENT or tx.attempts(order.id)[1] > 0:\n",
        new="            if current.state is not OrderState.SENT:\n",
        costs="an earlier attempt may still land after the cycle was freed",
        tests=(
            "tests/trading/test_races_settling.py::test_a_refusal_is_not_final_while_another_attempt_is_unanswered",
        ),
    ),
    Fault(
        name="sent-again-without-end",
        number="F54",
        file=BOOKS,
        old="            if attempt > MAX_ATTEMPTS:\n                return None\n",
        new="",
        costs="one order is sent for days",
        tests=("tests/proof/test_bitten.py::test_an_order_is_sent_so_often_and_no_more",),
    ),
    Fault(
        name="sent-again-against-the-kill-switch",
        number="F54",
        file=BOOKS,
        old="        if control.epoch != self._desk.epoch or control.mode is Mode.HALT:\n",
        new="        if False:\n",
        costs="orders go out after the operator has halted trading, or from an older process",
        tests=(
            "tests/trading/test_guards.py::test_an_order_is_not_sent_again_against_the_kill_switch_or_a_newer_start",
        ),
    ),
    Fault(
        name="sent-again-for-a-locked-asset",
        number="F84",
        file=BOOKS,
        old="asset.lock_reason is not None or asset.asset_symbol != order.symbol:\n",
        new="asset.asset_symbol != order.symbol:\n",
        costs="trades an asset whose books disagree",
        tests=(
            "tests/proof/test_bitten.py::test_an_order_is_not_sent_again_for_an_asset_that_was_switched_off",
        ),
    ),
    Fault(
        name="sent-again-at-any-price",
        number="F22",
        file=TRADER,
        old="            return quote.bid >= order.trigger_price\n",
        new="            return True\n",
        costs="a market sell of minutes ago goes out far below its take-profit",
        tests=(
            "tests/proof/test_bitten.py::test_a_sale_is_not_sent_again_below_its_price_or_on_an_old_quote",
        ),
    ),
    Fault(
        name="sent-again-on-an-old-quote",
        number="F16",
        file="dca/trading/quote_confirmation.py",
        old="        good = latest is not None and self._problem_of(latest, self._clock.now()) is None\n",
        new="        good = latest is not None\n",
        costs="a market sell goes out on a price of minutes ago",
        tests=(
            "tests/proof/test_bitten.py::test_a_sale_is_not_sent_again_below_its_price_or_on_an_old_quote",
        ),
    ),
    Fault(
        name="given-up-by-an-older-start",
        number="F08",
        file=BOOKS,
        old="                return False  # a newer start decides\n",
        new="                pass\n",
        costs="an older process ends an order that the newer one has just sent again",
        tests=("tests/proof/test_bitten.py::test_an_older_start_gives_nothing_up",),
    ),
    Fault(
        name="cancel-204-taken-for-canceled",
        number="F09",
        file=TRADER,
        old="            tx.update_order(replace(current, state=OrderState.CANCEL_REQUESTED, "
        "cancel_requested_at=now))\n            return current\n",
        new="            tx.update_order(replace(current, state=OrderState.DONE, cancel_requested_at=now, "
        "closed_at=now))\n"
        "            self.books._move_on(tx, tx.cycle(order.cycle_id), tx.counting_orders(order.cycle_id))\n"
        "            return current\n",
        costs="the cycle is free while the order can still fill: the fill is forgotten, another is placed",
        tests=(
            "tests/trading/test_races.py::test_F12_take_profit_while_a_safety_buy_is_live",
            "tests/caretakers/test_managers.py::test_F09_a_stale_buy_that_fills_while_it_is_canceled_keeps_its_fill",
        ),
        also=("prove",),
    ),
    Fault(
        name="cancel-asked-for-once",
        number="F09",
        file=BOOKS,
        old="    return order.state is OrderState.CANCEL_REQUESTED\n",
        new="    return False\n",
        costs="a cancel that was lost is never asked for again: the take-profit waits for ever",
        tests=("tests/proof/test_bitten.py::test_a_cancel_that_was_lost_is_asked_for_again",),
    ),
    Fault(
        name="unanswered-order-canceled",
        number="F09",
        file=TRADER,
        old="            if current.state is not OrderState.ACKED:\n                return None\n",
        new="            if not current.is_live:\n                return None\n",
        costs="an order whose existence is not known loses its doubt, and is never settled",
        tests=("tests/proof/test_bitten.py::test_an_order_without_an_answer_is_not_canceled",),
    ),
    Fault(
        name="another-order-of-our-id-is-booked",
        number="F50",
        file=BOOKS,
        old="        stranger = ledger.stranger(before, snapshot)\n",
        new="        stranger = None\n",
        costs="after a restored backup an order of last month is booked as today's",
        tests=(
            "tests/trading/test_sell_requests.py::test_F50_after_an_older_backup_a_used_id_counts_as_refused",
            "tests/operator/test_undecided.py::test_another_order_under_our_id_is_never_booked",
        ),
    ),
    Fault(
        name="ghost-does-not-lock",
        number="F22",
        file=BOOKS,
        old="        elif after.state is OrderState.GHOST and before.state is not OrderState.GHOST:\n",
        new="        elif False:\n",
        costs="the asset trades on beside an order that was given up and lives",
        tests=("tests/operator/test_undecided.py::test_a_ghost_that_has_filled_nothing_yet_locks_too",),
    ),
    Fault(
        name="a-ghost-s-coins-are-nobody-s-decision",
        number="F22",
        file="dca/caretakers/own_ledger.py",
        old="        return [*rows.undecided(asset), *(rows.violations(asset) if judged else [])]\n",
        new="        return rows.violations(asset) if judged else []\n",
        costs="the checker unlocks what an order did that was given up, and the bot trades on over it",
        tests=(
            "tests/operator/test_undecided.py::test_what_a_ghost_bought_stays_locked_until_it_is_decided",
            "tests/operator/test_undecided.py::test_an_order_that_came_back_changed_is_booked_and_locks_until_accepted",
        ),
    ),
    Fault(
        name="a-changed-order-is-not-booked",
        number="F21",
        file=BOOKS,
        old="        stranger = ledger.stranger(before, snapshot)\n",
        new="        stranger = ledger.mismatch(before, snapshot)\n",
        costs="the account holds coins that no book has, and no command ends it",
        tests=(
            "tests/operator/test_undecided.py::test_an_order_that_came_back_changed_is_booked_and_locks_until_accepted",
        ),
    ),
    Fault(
        name="a-changed-order-is-left-open",
        number="F21",
        file="dca/core/ledger.py",
        old="    unwanted = order.state is OrderState.ACKED\n",
        new="    unwanted = False\n",
        costs="an order at another price or of another size than was wanted stays open, and fills",
        tests=("tests/operator/test_undecided.py::test_what_is_open_of_a_changed_order_is_canceled",),
    ),
    Fault(
        name="a-ghost-s-sale-ends-no-cycle",
        number="F22",
        file="dca/core/lifecycle.py",
        old="        return _watching_on(current, orders, now)\n",
        new="        return Booking(cycle=checked(current))\n",
        costs="a cycle that was sold watches on, and its base order is bought again in it",
        tests=("tests/operator/test_undecided.py::test_a_ghost_s_sale_completes_its_cycle",),
    ),
    Fault(
        name="ghost-is-left-open",
        number="F22",
        file=BOOKS,
        old="        return order.closed_at is None\n",
        new="        return False\n",
        costs="an order that was given up and turned up stays open, and fills",
        tests=("tests/trading/test_races_settling.py::test_F22_a_request_that_lands_after_it_was_given_up",),
    ),
    Fault(
        name="unknown-order-of-ours-ignored",
        number="F50",
        file=BOOKS,
        old="                self._unknown_to_the_ledger(snapshot)\n",
        new="                pass\n",
        costs="an order that a restored backup forgot is traded over",
        tests=("tests/proof/test_bitten.py::test_an_order_of_ours_that_the_ledger_does_not_know_locks",),
    ),
    Fault(
        name="late-fill-of-an-ended-cycle-ignored",
        number="F73",
        file=BOOKS,
        old="        if late is not None:\n",
        new="        if False:\n",
        costs="coins that came too late belong to nobody",
        tests=(
            "tests/operator/test_holding.py::test_F73_coins_that_came_after_the_end_are_given_to_the_operator",
        ),
    ),
    Fault(
        name="fill-without-a-price-is-booked",
        number="F61",
        file=BOOKS,
        old="        if ledger.is_incomplete(snapshot):\n",
        new="        if False:\n",
        costs="an average of nothing sells at once, or main_app dies over it again and again",
        tests=("tests/trading/test_guards.py::test_a_fill_without_a_price_is_left_until_it_has_one",),
    ),
    Fault(
        name="polling-only-what-is-of-this-start",
        number="F04",
        file=LOOP,
        old="        orders = self._desk.open_orders()\n",
        new="        epoch = self._desk.epoch\n"
        "        orders = [each for each in self._desk.open_orders() if each.epoch == epoch]\n",
        costs="a fill missed while down is never booked",
        tests=(
            "tests/proof/test_bitten.py::test_F04_F11_every_order_is_asked_for_again_and_again_whoever_placed_it",
        ),
    ),
    Fault(
        name="no-polling",
        number="F11",
        file=LOOP,
        old='        self.regularly("settle", SETTLE_SECONDS, self._settle)\n',
        new='        if self._due.get("settle") is None:\n'
        '            self.regularly("settle", 1e9, self._settle)\n',
        costs="a fill that the stream did not bring is never booked",
        tests=(
            "tests/proof/test_bitten.py::test_F04_F11_every_order_is_asked_for_again_and_again_whoever_placed_it",
        ),
    ),
    Fault(
        name="reconnected-and-not-settled",
        number="F04",
        file=LOOP,
        old="        self._desk.settled = False\n        self._settle_now = True\n",
        new="",
        costs="buys again before it has heard of the fills that it missed",
        tests=(
            "tests/proof/test_bitten.py::test_F04_after_a_reconnect_nothing_is_placed_before_all_was_asked_for",
        ),
    ),
    Fault(
        name="denial-counts-from-its-booking",
        number="F22",
        file=BOOKS,
        old="        snapshot = self._broker.order(order.client_order_id)\n",
        new="        snapshot = self._broker.order(order.client_order_id)\n"
        "        asked_at = self._clock.now()\n",
        costs="an order that landed while this process stood still is given up, and another one placed",
        tests=("tests/proof/test_model_stalls.py::test_a_denial_counts_by_the_time_at_which_was_asked",),
    ),
    Fault(
        name="second-sending-without-a-deadline",
        number="F22",
        file=TRADER,
        old="                self._send(order, attempt, started, tell)\n",
        new="                self._send(order, attempt, self._clock.monotonic(), tell)\n",
        costs="an order that was given up meanwhile is sent after all",
        tests=(
            "tests/proof/test_model_stalls.py"
            "::test_an_order_that_is_sent_again_goes_out_at_once_or_not_at_all",
        ),
    ),
    Fault(
        name="times-of-a-wrong-clock-stay",
        number="F62",
        file="dca/core/lifecycle.py",
        old="    cycle = _in_possible_times(cycle, now)\n",
        new="",
        costs="a clock that was wrong for a moment keeps an asset from trading for hours",
        tests=("tests/core/test_lifecycle.py::test_times_that_a_wrong_clock_wrote_are_put_right",),
    ),
)
