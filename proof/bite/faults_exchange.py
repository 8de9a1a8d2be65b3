"""Faults of talking to the exchange: requests, answers, streams, and what waits in the inbox."""

from proof.bite.fault import Fault

BROKER = "dca/broker.py"
FEED = "dca/feed.py"
OF_BROKER = "tests/test_broker.py"
OF_FEED = "tests/test_feed.py"

FAULTS = (
    Fault(
        name="requests-without-a-timeout",
        number="F15",
        file=BROKER,
        old='        kwargs["timeout"] = (CONNECT_SECONDS, self.read_seconds)\n',
        new="",
        costs="a server that never answers holds a worker for ever: nothing is sold",
        tests=(
            "tests/proof/test_faults_network.py::test_F15_every_request_has_a_limit_for_connecting_and_one_for_reading",
        ),
    ),
    Fault(
        name="the-library-sends-again",
        number="F01",
        file=BROKER,
        old="    client._retry = 0\n    client._retry_codes = []\n",
        new="    client._retry_wait = 0\n",
        costs="a POST that was taken is sent a second time",
        tests=(f"{OF_BROKER}::test_everything_unclear_is_unknown_and_sent_once",),
    ),
    Fault(
        name="redirects-are-answers",
        number="F88",
        file=BROKER,
        old="        if 300 <= response.status_code < 400:\n",
        new="        if False:\n",
        costs="what a captive portal says is taken for the exchange's word",
        tests=("tests/test_broker_transport.py::test_a_redirect_s_body_is_no_answer",),
    ),
    Fault(
        name="idle-connections-used-again",
        number="F01",
        file=BROKER,
        old="            self.poolmanager.clear()\n",
        new="            pass\n",
        costs="orders on connections that the other side has closed: outcome unknown",
        tests=("tests/proof/test_bitten_outside.py::test_F01_a_connection_that_has_rested_is_made_anew",),
    ),
    Fault(
        name="tls-not-verified",
        number="F88",
        file=BROKER,
        old="    client._session.trust_env = False\n",
        new="    client._session.trust_env = client._session.verify = False\n",
        costs="whoever sits on the line has the keys",
        tests=("tests/proof/test_security_endpoints.py::test_the_broker_refuses_a_certificate_of_nobody",),
    ),
    Fault(
        name="stream-tls-not-verified",
        number="F88",
        file=FEED,
        old="        self._trust = trust or ssl.create_default_context(cafile=certifi.where())\n",
        new="        self._trust = ssl._create_unverified_context()\n",
        costs="whoever sits on the line has the keys, and makes the prices",
        tests=(
            "tests/proof/test_security_endpoints.py::test_the_feed_refuses_a_certificate_of_nobody_and_of_another_name",
        ),
    ),
    Fault(
        name="lost-answer-is-a-no",
        number="F01",
        file=BROKER,
        old="        except (RateLimited, *_UNCLEAR) as error:\n"
        "            return Unknown(reason=_short(error))\n",
        new="        except (RateLimited, *_UNCLEAR) as error:\n"
        "            return DefiniteReject(code=0, message=_short(error))\n",
        costs="an order that was taken is placed again",
        tests=(f"{OF_BROKER}::test_everything_unclear_is_unknown_and_sent_once",),
    ),
    Fault(
        name="a-gateway-s-error-is-a-no",
        number="F01",
        file=BROKER,
        old='    return Unknown(reason=f"{status} {message}")\n',
        new="    return DefiniteReject(code=code or status, message=message)\n",
        costs="an order that was taken is placed again",
        tests=(f"{OF_BROKER}::test_everything_unclear_is_unknown_and_sent_once",),
    ),
    Fault(
        name="a-used-id-is-a-no",
        number="F21",
        file=BROKER,
        old="        return Duplicate()\n",
        new="        return DefiniteReject(code=code, message=message)\n",
        costs="the order that arrived at the first try is placed again under another id",
        tests=("tests/test_broker.py::test_a_used_id_is_a_duplicate",),
    ),
    Fault(
        name="answer-about-another-order",
        number="F36",
        file=BROKER,
        old="        if snapshot.client_order_id != order.client_order_id:\n",
        new="        if False:\n",
        costs="another order's fill is booked",
        tests=("tests/proof/test_bitten_outside.py::test_F36_an_answer_about_another_order_is_none",),
    ),
    Fault(
        name="any-404-is-not-found",
        number="F20",
        file=BROKER,
        old="            if isinstance(cause, APIError) and error.status == 404 and "
        "_code_of(cause)[0] == _NOT_FOUND:\n",
        new="            if isinstance(cause, APIError) and error.status == 404:\n",
        costs="a gateway that knows no such page gives up living orders",
        tests=(
            "tests/proof/test_bitten_outside.py::test_F20_a_gateway_that_knows_no_such_page_denies_nothing",
        ),
    ),
    Fault(
        name="failed-read-is-not-found",
        number="F03",
        file=BROKER,
        old="        except RequestRefused as error:\n            cause = error.__cause__\n",
        new="        except ExchangeUnavailable as error:\n"
        "            if not isinstance(error, RequestRefused):\n                return None\n"
        "            cause = error.__cause__\n",
        costs="an outage is taken for an account without coins and orders",
        tests=("tests/test_broker.py::test_F03_a_failed_read_raises",),
    ),
    Fault(
        name="failed-read-is-no-positions",
        number="F03",
        file=BROKER,
        old='        return self._get("/positions", None, wire.positions, Kind.LOOK_UP)\n',
        new="        try:\n"
        '            return self._get("/positions", None, wire.positions, Kind.LOOK_UP)\n'
        "        except ExchangeUnavailable:\n            return {}\n",
        costs="an outage ends every cycle as error, and a new one buys again",
        tests=("tests/proof/test_bitten_outside.py::test_F03_no_read_that_fails_is_an_empty_one",),
    ),
    Fault(
        name="failed-read-is-no-orders",
        number="F03",
        file=BROKER,
        old='            raws = self._get("/orders", query, wire.listed, kind)\n',
        new="            try:\n"
        '                raws = self._get("/orders", query, wire.listed, kind)\n'
        "            except ExchangeUnavailable:\n                return []\n",
        costs="an outage is taken for an account without orders",
        tests=("tests/proof/test_bitten_outside.py::test_F03_no_read_that_fails_is_an_empty_one",),
    ),
    Fault(
        name="only-the-first-page",
        number="F75",
        file=BROKER,
        old="            if len(raws) < _PAGE:\n",
        new="            if raws is not None:\n",
        costs="orders beyond the first page are taken for gone",
        tests=("tests/proof/test_bitten_outside.py::test_F75_a_list_is_read_to_its_end",),
    ),
    Fault(
        name="numbers-that-are-none",
        number="F26",
        file="dca/wire.py",
        old="    if not result.is_finite():\n",
        new="    if False:\n",
        costs="a NaN from outside is in every sum",
        tests=("tests/proof/test_bitten_outside.py::test_F26_what_is_no_number_is_none",),
    ),
    Fault(
        name="no-pings",
        number="F11",
        file=FEED,
        old="            ping_interval=self._ping_seconds,\n",
        new="            ping_interval=None,\n",
        costs="a dead stream looks alive for hours",
        tests=(f"{OF_FEED}::test_a_half_open_socket_is_noticed_within_two_pings",),
    ),
    Fault(
        name="handshake-without-a-timeout",
        number="F15",
        file=FEED,
        old="    async with asyncio.timeout(ANSWER_SECONDS):\n        answer = json.loads(",
        new="    async with asyncio.timeout(None):\n        answer = json.loads(",
        costs="a server that takes the keys and says nothing keeps the bot deaf for ever",
        tests=("tests/proof/test_bitten_outside.py::test_F15_a_server_that_says_nothing_is_not_waited_for",),
    ),
    Fault(
        name="nobody-is-told-of-a-reconnect",
        number="F04",
        file=FEED,
        old="            self._on_orders_connected()\n",
        new="",
        costs="what happened while the stream was down is not asked for before the next order",
        tests=(f"{OF_FEED}::test_closed_by_the_server",),
    ),
    Fault(
        name="a-stream-that-ended-is-not-opened-again",
        number="F10",
        file=FEED,
        old="            await asyncio.sleep(PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS)) - 1 "
        "if failures else 0])\n",
        new="            await asyncio.sleep(1e9)\n",
        costs="the bot is deaf for the rest of its life",
        tests=(f"{OF_FEED}::test_closed_by_the_server",),
    ),
    Fault(
        name="oldest-quote-kept",
        number="F17",
        file="dca/inbox.py",
        old="            self._quotes[quote.symbol] = quote\n",
        new="            self._quotes.setdefault(quote.symbol, quote)\n",
        costs="decides on the oldest price that it has not looked at yet",
        tests=(
            "tests/proof/test_faults_trading.py::test_F17_of_a_thousand_quotes_that_waited_only_the_newest_decides",
        ),
    ),
    Fault(
        name="one-pair-two-workers",
        number="F07",
        file="dca/inbox.py",
        old='        name = symbol.replace("/", "")',
        new="        name = symbol",
        costs="two workers act on one asset at the same time",
        tests=("tests/proof/test_bitten_outside.py::test_F07_a_pair_has_one_worker_however_it_is_written",),
    ),
    Fault(
        name="order-updates-thrown-away",
        number="F10",
        file="dca/inbox.py",
        old="            if isinstance(task, Snapshot) or task not in self._tasks:\n",
        new="            if not self._tasks:\n",
        costs="fills are lost while a worker is slow",
        tests=("tests/proof/test_bitten_outside.py::test_F10_no_order_update_is_dropped_while_others_wait",),
    ),
)
