"""Faults of the limits: how many orders and requests, and what the books' own invariants notice."""

from proof.bite.fault import Fault

FUSE = "dca/core/order_limits.py"
PACE = "dca/exchange/request_budget.py"
INVARIANTS = "dca/core/invariants.py"
OF_INVARIANTS = ("tests/core/test_invariants.py",)

FAULTS = (
    Fault(
        name="no-order-rate-fuse",
        number="F54",
        file=FUSE,
        old="    return of_the_hour or placed.in_a_minute >= fuse.per_minute * factor\n",
        new="    return of_the_hour\n",
        costs="a bug that places and cancels with every quote goes on for ever",
        tests=("tests/trading/test_order_rate.py::test_how_many_in_vain_are_too_many",),
    ),
    Fault(
        name="the-hour-is-not-counted",
        number="F54",
        file=FUSE,
        old="    of_the_hour = side is Side.BUY and placed.in_an_hour >= fuse.per_hour\n",
        new="    of_the_hour = False\n",
        costs="a slow runaway loop is not noticed",
        tests=("tests/trading/test_order_rate.py::test_how_many_in_vain_are_too_many",),
    ),
    Fault(
        name="the-fuse-is-not-asked",
        number="F54",
        file="dca/trading/trader.py",
        old="        if not order_rate.is_sane(tx, limits, current, cycle, orders, action, rules, now, "
        "troubles):\n",
        new="        if False:\n",
        costs="a bug that buys with every quote spends everything",
        tests=(
            "tests/trading/test_order_rate.py::test_the_fifth_order_in_vain_within_a_minute_waits_and_sells_still_go",
        ),
    ),
    Fault(
        name="steps-of-a-ladder-are-counted",
        number="F54",
        file="dca/trading/order_rate.py",
        old="tx.orders_in_vain(asset.id, now))\n",
        new="tx.orders_placed(asset.id, now))\n",
        costs="an ordinary fall holds the safety orders back, when they are wanted most",
        tests=("tests/trading/test_order_rate.py::test_a_fall_through_all_levels_within_a_minute_is_bought",),
    ),
    Fault(
        name="one-asset-turns-all-buys-off",
        number="F54",
        file=FUSE,
        old="ASSETS_BEYOND_DOUBT = 3\n",
        new="ASSETS_BEYOND_DOUBT = 1\n",
        costs="what is odd about one pair stops all others until a person comes",
        tests=(
            "tests/trading/test_order_rate.py::test_the_fifth_order_in_vain_within_a_minute_waits_and_sells_still_go",
        ),
    ),
    Fault(
        name="a-level-may-be-bought-twice",
        number="F54",
        file=FUSE,
        old="        if same is not None:\n",
        new="        if False:\n",
        costs="a bug in a sum buys one level again and again",
        tests=("tests/trading/test_order_rate.py::test_what_the_orders_of_a_cycle_speak_against",),
    ),
    Fault(
        name="a-blown-fuse-turns-nothing-off",
        number="F54",
        file="dca/trading/order_rate.py",
        old="        tx.set_mode(Mode.EXITS_ONLY, f",
        new="        str(f",
        costs="a bug that runs away with all assets goes on",
        tests=(
            "tests/trading/test_order_rate.py::test_buys_of_all_assets_go_off_only_when_several_are_held_back_at_once",
        ),
    ),
    Fault(
        name="no-limit-of-requests",
        number="F28",
        file=PACE,
        old="        if len(self._sent) >= self._most[kind]:\n",
        new="        if False:\n",
        costs="the exchange refuses everything, the sells among it",
        tests=(
            "tests/exchange/test_request_budget.py::test_buys_and_reading_leave_room_for_look_ups_and_those_for_sells",
        ),
    ),
    Fault(
        name="buys-use-up-what-sells-need",
        number="F28",
        file=PACE,
        old="_SHARE_PERCENT = {Kind.EXIT: 100, Kind.LOOK_UP: 80, Kind.ORDINARY: 60}\n",
        new="_SHARE_PERCENT = {Kind.EXIT: 100, Kind.LOOK_UP: 100, Kind.ORDINARY: 100}\n",
        costs="in a fall of all pairs nothing can be canceled or sold",
        tests=(
            "tests/exchange/test_request_budget.py::test_buys_and_reading_leave_room_for_look_ups_and_those_for_sells",
        ),
    ),
    Fault(
        name="429-is-not-heard",
        number="F28",
        file=PACE,
        old="            if status == 429:\n",
        new="            if status == 0:\n",
        costs="asks on while it is refused, and is locked out",
        tests=(
            "tests/exchange/test_request_budget.py::test_a_429_keeps_buys_and_reading_back_as_long_as_it_says",
        ),
    ),
    Fault(
        name="claimed-with-no-request-left",
        number="F28",
        file="dca/trading/trader.py",
        old="        self._broker.reserve(Side.SELL if with_position else Side.BUY)\n",
        new="",
        costs="an order that is claimed and cannot be sent blocks its asset for minutes",
        tests=("tests/exchange/test_request_budget.py::test_a_buy_that_cannot_be_sent_now_is_not_claimed",),
    ),
    Fault(
        name="two-live-orders-are-no-violation",
        number="F07",
        file=INVARIANTS,
        old="    if len(live) > 1:\n",
        new="    if len(live) > 99:\n",
        costs="two live orders of an asset, and nobody is told",
        tests=OF_INVARIANTS,
    ),
    Fault(
        name="overspending-is-no-violation",
        number="F52",
        file=INVARIANTS,
        old="    if spent > allowed * BUDGET_TOLERANCE:\n",
        new="    if False:\n",
        costs="a cycle spends more than was allowed, and nobody is told",
        tests=OF_INVARIANTS,
    ),
    Fault(
        name="overselling-is-no-violation",
        number="F06",
        file=INVARIANTS,
        old="    if sells and excess > ledger.shortage_tolerance(cycle, sells[-1].qty_increment):\n",
        new="    if False:\n",
        costs="the user's coins are sold, and nobody is told",
        tests=OF_INVARIANTS,
    ),
    Fault(
        name="too-many-levels-are-no-violation",
        number="F52",
        file=INVARIANTS,
        old="        if used > order.max_safety_orders:\n",
        new="        if False:\n",
        costs="more safety orders than allowed, and nobody is told",
        tests=OF_INVARIANTS,
    ),
    Fault(
        name="a-violation-does-not-lock",
        number="F84",
        file="dca/caretakers/own_ledger.py",
        old="        if violations and asset.lock_reason is None:\n",
        new="        if False:\n",
        costs="trades on although its books are wrong",
        tests=(
            "tests/caretakers/test_invariants_found.py::test_what_is_planted_is_found_locked_mailed_and_ends",
        ),
    ),
    Fault(
        name="a-server-that-trickles-is-listened-to",
        number="F15",
        file="dca/exchange/rest_client.py",
        old="        self.poolmanager.pool_classes_by_scheme = http_deadline.POOLS\n",
        new="        assert http_deadline.POOLS\n",
        costs="a byte now and then holds a worker for ever: nothing is sold",
        tests=(
            "tests/exchange/test_http_deadline.py::test_F15_a_server_that_trickles_is_not_listened_to_for_ever",
        ),
        hangs=True,
    ),
    Fault(
        name="stream-follows-redirects",
        number="F88",
        file="dca/exchange/streams.py",
        old="        return exc\n",
        new="        return super().process_redirect(exc)\n",
        costs="the keys go to whoever the redirect names",
        tests=("tests/proof/test_security_endpoints.py::test_the_feed_follows_no_redirect",),
    ),
    Fault(
        name="error-pages-repeat-the-keys",
        number="F53",
        file="dca/exchange/rest_client.py",
        old='            body = body.replace(secret, b"***")\n',
        new="            body = body.replace(secret, secret)\n",
        costs="the keys are in the log",
        tests=(
            "tests/proof/test_security_endpoints.py::test_an_answer_that_repeats_our_keys_is_read_without_them",
        ),
    ),
    Fault(
        name="secrets-in-the-log",
        number="F53",
        file="dca/runtime/script.py",
        old='            text = text.replace(secret, "***")\n',
        new="            text = str(text)\n",
        costs="the keys are in the log",
        tests=(
            "tests/proof/test_security_process.py::test_no_line_of_the_log_has_a_secret_or_obeys_a_terminal",
        ),
    ),
)
