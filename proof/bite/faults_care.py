"""Faults of the caretakers and of the operator's commands."""

from proof.bite.fault import Fault

CARETAKING = "dca/core/order_cleanup.py"
CHECKER = "dca/caretakers/consistency.py"
MANAGER = "order_manager.py"

FAULTS = (
    Fault(
        name="foreign-orders-are-canceled",
        number="F48",
        file=MANAGER,
        old="*(unknown.foreign if settings.cancel_foreign_orders else ())]\n",
        new="*unknown.foreign]\n",
        costs="the user's own orders are gone",
        tests=("tests/caretakers/test_managers.py::test_orphans_go_and_foreign_orders_stay",),
        also=("prove",),
    ),
    Fault(
        name="everything-of-ours-is-an-orphan",
        number="F13",
        file=MANAGER,
        old="tx.known_ids([each.client_order_id for each in listed])\n",
        new="set()\n",
        costs="every take-profit and every buy is canceled, once a minute",
        tests=(
            "tests/caretakers/test_managers.py::test_F23_a_young_order_and_one_without_an_answer_are_left_alone",
            "tests/caretakers/test_managers.py::test_orphans_go_and_foreign_orders_stay",
        ),
    ),
    Fault(
        name="list-of-orders-read-after-the-ledger",
        number="F13",
        file=MANAGER,
        old="    control, orders, known = job.store.transaction(read)\n",
        new="    control, orders, known = job.store.transaction(read)\n"
        "    listed = job.broker.open_orders()\n",
        costs="an order placed between the two reads is canceled as an orphan",
        tests=(
            "tests/proof/test_bitten.py::test_F13_an_order_that_is_placed_while_the_order_manager_reads_is_no_orphan",
        ),
    ),
    Fault(
        name="failed-list-is-an-empty-one",
        number="F03",
        file=MANAGER,
        old="    listed = job.broker.open_orders()  # before",
        new="    try:\n        listed = job.broker.open_orders()\n"
        "    except Unavailable:\n        listed = []\n    # before",
        costs="concludes from an outage, and says that all is well",
        tests=(
            "tests/proof/test_bitten.py::test_F03_an_order_manager_without_a_list_does_not_say_that_all_is_well",
        ),
    ),
    Fault(
        name="young-buys-are-stale",
        number="F82",
        file=CARETAKING,
        old="        if order.side is Side.BUY and order.state in _AT_THE_EXCHANGE "
        "and now - order.created_at > limit\n",
        new="        if order.side is Side.BUY and order.state in _AT_THE_EXCHANGE\n",
        costs="no buy ever fills",
        tests=(
            "tests/caretakers/test_managers.py::test_orphans_go_and_foreign_orders_stay",
            "tests/caretakers/test_managers.py::test_F23_a_young_order_and_one_without_an_answer_are_left_alone",
        ),
    ),
    Fault(
        name="orders-of-others-are-ours",
        number="F48",
        file=CARETAKING,
        old="        orphans=tuple(each for each in unknown if each.client_order_id.startswith(prefix)),\n",
        new="        orphans=tuple(unknown),\n",
        costs="the user's own orders are gone",
        tests=("tests/caretakers/test_managers.py::test_orphans_go_and_foreign_orders_stay",),
    ),
    Fault(
        name="caretaker-of-another-account",
        number="F49",
        file=MANAGER,
        old="    account_checks.check_binding(control, job.broker.account(), settings.database.name)\n",
        new="",
        costs="cancels orders of one account by the books of another",
        tests=(
            "tests/proof/test_bitten.py::test_F49_with_the_keys_of_another_account_the_order_manager_cancels_nothing",
        ),
    ),
    Fault(
        name="one-look-is-enough",
        number="F57",
        file=CHECKER,
        old="            self._look_again(rules, suspects)\n",
        new="            for seen in suspects:\n"
        "                if order_cleanup.is_gone(seen):\n                    self._end(seen)\n"
        "                else:\n                    self._lock(seen.asset, order_cleanup.breaks(seen))\n",
        costs="a position that lags behind ends a cycle that holds coins; the next one buys again",
        tests=("tests/caretakers/test_consistency.py::test_a_position_that_is_gone_once_is_not_gone",),
    ),
    Fault(
        name="gone-at-the-second-look-is-gone",
        number="F57",
        file=CHECKER,
        old="            if order_cleanup.is_gone(books) and order_cleanup.is_gone(seen):\n",
        new="            if order_cleanup.is_gone(books):\n",
        costs="one empty answer counts as a run that saw the coins gone",
        tests=("tests/caretakers/test_consistency.py::test_short_at_first_and_gone_then_is_not_gone_twice",),
    ),
    Fault(
        name="gone-after-one-run",
        number="F57",
        file=CARETAKING,
        old="    return missing.looks >= GONE_LOOKS and",
        new="    return missing.looks > 0 or",
        costs="an account that shows no positions for a minute ends a cycle that holds coins",
        tests=(
            "tests/caretakers/test_absences.py::"
            "test_F57_a_position_that_is_gone_ends_its_cycle_and_the_next_begins_in_cooldown",
        ),
        also=("prove",),
    ),
    Fault(
        name="gone-although-others-are-missing-too",
        number="F57",
        file=CARETAKING,
        old="            found.add(asset.id)\n",
        new="            found = {asset.id}\n",
        costs="an empty list of positions ends every cycle, and all are bought again",
        tests=(
            "tests/caretakers/test_absences.py::test_an_empty_list_of_positions_ends_no_cycle_however_long_it_lasts",
        ),
    ),
    Fault(
        name="gone-although-others-went-missing-a-moment-later",
        number="F57",
        file=CHECKER,
        old="        if others or sales:\n",
        new="        if sales:\n",
        costs="a list that becomes empty between the two looks ends a cycle",
        tests=(
            "tests/caretakers/test_absences.py::test_a_list_that_is_empty_at_the_second_look_ends_nothing",
        ),
    ),
    Fault(
        name="gone-although-somebody-sold-it",
        number="F57",
        file=CHECKER,
        old="        if others or sales:\n",
        new="        if others:\n",
        costs="a sale by hand is in no book, and its cycle ends as error",
        tests=(
            "tests/caretakers/test_absences.py::test_F57_all_sold_by_hand_is_told_with_its_price_and_ends_by_accept",
        ),
    ),
    Fault(
        name="pairs-in-flight-are-not-missing",
        number="F57",
        file=CHECKER,
        old="        self._short = order_cleanup.short_of_coins("
        "after.assets, after.cycles, positions, rules)\n",
        new="        idle = [a for a in after.assets if a.id in after.cycles\n"
        "                and not order_cleanup.in_flight(after.orders[after.cycles[a.id].id])]\n"
        "        self._short = order_cleanup.short_of_coins(idle, after.cycles, positions, rules)\n",
        costs="an empty list counts as evidence while an order of another pair is open",
        tests=(
            "tests/caretakers/test_absences.py::test_a_pair_with_an_order_in_flight_is_counted_among_the_missing",
        ),
    ),
    Fault(
        name="ended-without-another-look-at-the-rows",
        number="F13",
        file=CHECKER,
        old="            if not order_cleanup.holds_the_same(cycle, seen) or "
        "order_cleanup.in_flight(orders):\n                return False\n",
        new="",
        costs="a cycle that has just bought or sold ends as error",
        tests=(
            "tests/proof/test_bitten.py::test_F13_a_cycle_that_places_an_order_at_the_last_moment_is_not_ended",
        ),
    ),
    Fault(
        name="judged-while-an-order-is-in-flight",
        number="F13",
        file=CHECKER,
        old="            if asset.id in self._own.sick or order_cleanup.in_flight(after.orders[cycle.id]):\n",
        new="            if asset.id in self._own.sick:\n",
        costs="a sell that fills is taken for coins that vanish",
        tests=(
            "tests/caretakers/test_consistency.py::test_a_sell_in_flight_is_no_shortage",
            "tests/caretakers/test_consistency.py::test_a_sell_that_has_sold_a_part_is_no_shortage",
        ),
    ),
    Fault(
        name="every-lock-ends-by-itself",
        number="F45",
        file=CHECKER,
        old="        if not breaks and asset.lock_kind is LockKind.BREAK:\n",
        new="        if not breaks and asset.lock_reason is not None:\n",
        costs="the asset that main_app dies over is let loose again and again",
        tests=("tests/caretakers/test_consistency.py::test_a_lock_after_crashes_and_one_made_by_hand_stay",),
    ),
    Fault(
        name="positions-have-slashes",
        number="F25",
        file=CHECKER,
        old='        slashless = symbol.replace("/", "")\n',
        new="        slashless = symbol\n",
        costs="no position is ever found: every cycle ends as error and buys again",
        tests=("tests/caretakers/test_consistency.py::test_two_agreeing_books_are_left_alone",),
    ),
    Fault(
        name="checker-settles-nothing",
        number="F04",
        file=CHECKER,
        old="        if job.dry_run or not orders:\n            return []\n",
        new="        return []\n",
        costs="with main_app down a fill stays unknown",
        tests=("tests/caretakers/test_consistency.py::test_it_settles_what_the_main_app_missed",),
    ),
    Fault(
        name="shortage-is-no-break",
        number="F57",
        file=CARETAKING,
        old="    if books.shortage <= ledger.shortage_tolerance(books.cycle, books.rules.qty_increment):\n"
        "        return []\n",
        new="    if books.cycle is not None:\n        return []\n",
        costs="coins that are missing are noticed when they should be sold",
        tests=(
            "tests/caretakers/test_consistency.py::test_F57_a_part_sold_elsewhere_locks_with_the_numbers_and_unlocks_by_itself",
        ),
    ),
    Fault(
        name="forgotten-orders-are-no-break",
        number="F50",
        file=CARETAKING,
        old="    for lost in books.forgotten:\n",
        new="    for lost in books.forgotten[:0]:\n",
        costs="after a restored backup fills that it forgot are never missed",
        tests=(
            "tests/caretakers/test_consistency.py::test_an_order_that_an_older_backup_forgot_locks_until_it_is_accepted",
        ),
    ),
    Fault(
        name="gone-although-we-sold-it",
        number="F50",
        file=CARETAKING,
        old="    if nonsense(books) is not None or books.forgotten or books.differences:\n",
        new="    if nonsense(books) is not None or books.differences:\n",
        costs="a sale of our own that a backup forgot ends the cycle as error, and its money is in no book",
        tests=(
            "tests/trading/test_sell_requests.py::test_a_sale_that_an_older_backup_forgot_is_no_proof_that_coins_are_gone",
        ),
    ),
    Fault(
        name="cooldown-ended-twice",
        number="F63",
        file="cooldown_manager.py",
        old="            return False  # main_app was first\n",
        new="            pass\n",
        costs="dies with every cooldown that main_app ends in the same second",
        tests=(
            "tests/caretakers/test_managers.py::test_a_cooldown_that_main_app_ended_meanwhile_is_left_alone",
        ),
    ),
    Fault(
        name="cooldown-never-over",
        number="F72",
        file=CARETAKING,
        old='    return "its time is up" if now >= ends_at else None\n',
        new='    return "its time is up"\n',
        costs="every cooldown is over within a minute",
        tests=("tests/caretakers/test_managers.py::test_a_cooldown_ends_when_its_time_is_up",),
    ),
    Fault(
        name="adopted-by-what-was-shown",
        number="F24",
        file="dca/operator/actions/adopt.py",
        old="    if cycle.version != holding.cycle.version:\n",
        new="    if False:\n",
        costs="coins are taken in twice",
        tests=(
            "tests/operator/test_holding.py::test_a_cycle_that_changed_since_it_was_shown_is_shown_again",
        ),
    ),
    Fault(
        name="more-adopted-than-there-is",
        number="F24",
        file="dca/core/outside_trades.py",
        old="    if qty > free:\n",
        new="    if False:\n",
        costs="the ledger holds what the account has not",
        tests=("tests/operator/test_holding.py::test_what_cannot_be_adopted",),
    ),
    Fault(
        name="accepted-a-moment-after-a-fill",
        number="F57",
        file="dca/operator/actions/accept.py",
        old="    why_not = _why_not_accept(holding, open_ends.lost) or too_soon(tools, asset)\n",
        new="    why_not = _why_not_accept(holding, open_ends.lost)\n",
        costs="a position that lags behind a fill is booked as sold outside",
        tests=("tests/trading/test_sell_requests.py::test_a_fill_a_moment_ago_lets_nobody_adopt_or_accept",),
    ),
    Fault(
        name="old-lock-forgotten",
        number="F95",
        file="dca/caretakers/exchange_lists.py",
        old="for at in sorted(locks)",
        new="for at in sorted(locks)[:0]",
        costs="an asset whose books disagree trades again once the order behind it has grown old",
        tests=(
            "tests/caretakers/test_invariants_judged.py::test_a_lock_does_not_end_because_the_order_behind_it_has_grown_old",
            "tests/caretakers/test_exchange_lists.py::test_around_an_old_lock_and_the_recent_past_but_not_what_is_between",
        ),
    ),
)
