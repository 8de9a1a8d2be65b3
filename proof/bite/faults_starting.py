"""Faults of a start that is refused, of what counts as a crash, and of two installations on one database."""

from proof.bite.fault import Fault

APPLICATION = "dca/trading/application.py"
WATCHING = "dca/watchdog/rules.py"
OF_WATCHING = ("tests/watchdog/test_rules.py",)

FAULTS = (
    Fault(
        name="anybody-s-database",
        number="F08",
        file="dca/exchange/account_checks.py",
        old="        check_owner(tx, us, clock.now(), database)\n",
        new="",
        costs="two folders on one database end each other's main_app for ever",
        tests=("tests/runtime/test_database_owner.py",),
    ),
    Fault(
        name="caretakers-of-two-installations",
        number="F08",
        file="dca/caretakers/job.py",
        old="            if (refusal := _refusal(store, job)) is not None:\n",
        new="            if (refusal := _refusal(store, job)) == 0:\n",
        costs="both look after one book, and neither misses the other's that stand still",
        tests=("tests/runtime/test_database_owner.py::test_the_second_one_stands_down_and_says_whose_it_is",),
    ),
    Fault(
        name="a-clone-is-the-same-machine",
        number="F08",
        file="dca/runtime/database_owner.py",
        old='    return boot == "" or owner.seen_at < now - timedelta(seconds=up)\n',
        new="    return True\n",
        costs="a cloned disk trades beside the machine that it was cloned from",
        tests=("tests/runtime/test_database_owner.py::test_a_machine_that_was_cloned_is_told_by_its_boot",),
    ),
    Fault(
        name="refused-keys-end-it",
        number="F78",
        file=APPLICATION,
        old="            except (StartRefused, Unavailable) as error:\n",
        new="            except Unavailable as error:\n",
        costs="five minutes of refused keys or of a wrong clock, and nothing is sold until a person comes",
        tests=("tests/trading/test_start.py",),
    ),
    Fault(
        name="settings-are-read-once",
        number="F78",
        file=APPLICATION,
        old="        if is_other:\n",
        new="        if False:\n",
        costs="what is put right in .env helps only whoever also stops and starts main_app",
        tests=("tests/trading/test_start.py::test_wrong_settings_are_waited_out_and_read_again",),
    ),
    Fault(
        name="who-is-asked-to-stop-has-died",
        number="F38",
        file=WATCHING,
        old="    if seen.maintenance is not None or seen.asked_to_stop is not None:\n",
        new="    if seen.maintenance is not None:\n",
        costs="a service manager's SIGTERM five times over, and it is left down with buys off",
        tests=OF_WATCHING,
    ),
    Fault(
        name="bad-settings-are-a-crash",
        number="F38",
        file="dca/watchdog/run.py",
        old="        if code == BAD_SETTINGS:\n",
        new="        if False:\n",
        costs="a slip in .env leaves it down for good after five minutes",
        tests=("tests/watchdog/test_watchdog.py::test_settings_that_main_app_cannot_use_are_a_finding",),
    ),
)
