"""A word in the tables that this program does not know: written past the rules, or by a newer program.

Nothing dies of it. A mode that is not known is a halt; a cycle or an order with such a word locks its asset,
and nothing is concluded from it or written into it until a person has put the word right.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from dca.core.errors import DatabaseUnavailable
from dca.core.model import CycleStatus, LockKind, Mode, Word
from dca.core.operations import IncidentKind
from dca.database.store import Store
from tests.caring import check, edit
from tests.operating import Operator, lonely  # noqa: F401 - a fixture
from tests.reviewing import Desk, desk, office  # noqa: F401 - fixtures
from tests.rig import INSERT, Rig

RULES = {
    "dca_assets": ("lock_kind_is_known",),
    "dca_cycles": ("status_is_known", "completed_at_is_set_when_the_cycle_has_ended"),
    "dca_orders": (
        *(
            "purpose_is_known",
            "side_is_known",
            "side_fits_the_purpose",
            "state_is_known",
            "fee_source_is_known",
        ),
        *("order_type_is_known", "limit_price_is_set_on_limit_orders"),
    ),
    "dca_control": ("mode_is_known",),
    "job_runs": ("result_is_known",),
    "incidents": ("kind_of_incident_is_known",),
}
MODES = ["HALT", "halt ", "Exits_Only", "RUN", "panic", ""]


def past_the_rules(store: Store, sql: str) -> None:
    """Run a statement on tables that take any word."""
    for table, names in RULES.items():
        if table in sql:
            dropped = ", ".join(f"DROP CONSTRAINT {name}" for name in names)
            store.run_script(f"ALTER TABLE {table} {dropped};\n")
    store.run_script(f"{sql};\n")


def posts(rig: Rig) -> int:
    return len(rig.exchange.posts)


def test_a_word_that_is_not_known_keeps_its_letters_and_equals_none() -> None:
    odd = CycleStatus.read("WATCHING")
    assert (odd.value, str(odd), odd.is_known) == ("WATCHING", "WATCHING", False)
    assert odd not in {*CycleStatus} and odd is not CycleStatus.WATCHING
    assert CycleStatus.read("watching") is CycleStatus.WATCHING and CycleStatus.WATCHING.is_known
    assert all(kind.read("") not in {*kind} for kind in Word.__subclasses__())


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_that_is_not_known_is_a_halt(rig: Rig, mode: str) -> None:
    rig.bought()
    past_the_rules(rig.store, f"UPDATE dca_control SET mode = '{mode}'")
    control = rig.store.transaction(lambda tx: tx.control())
    assert control.mode is Mode.HALT
    assert repr(mode) in (control.mode_reason or "") and "exits_only" in (control.mode_reason or "")
    before = posts(rig)
    rig.look()
    rig.quote("103")
    rig.quote("90")
    check(rig)
    assert posts(rig) == before, "neither sold nor bought"


def test_the_review_tells_of_it_and_resume_ends_it(lonely: Operator, desk: Desk) -> None:  # noqa: F811
    past_the_rules(desk.store, "UPDATE dca_control SET mode = 'HALT'")
    desk.review()
    assert "kill switch" in desk.open()
    assert "'HALT', which is none of run, exits_only, halt" in desk.office.text()
    assert lonely.types("resume", "--yes").code == 0
    assert desk.store.transaction(lambda tx: tx.control()).mode is Mode.RUN
    desk.review()
    assert "kill switch" not in desk.open()


def test_without_its_row_the_review_says_what_to_do(desk: Desk) -> None:  # noqa: F811
    past_the_rules(desk.store, "DELETE FROM dca_control")
    desk.review()
    assert "the row of dca_control is gone" in desk.office.text()
    assert "INSERT INTO dca_control" in desk.office.text()


def test_nothing_starts_or_trades_without_its_row(rig: Rig) -> None:
    rig.bought()
    edit(rig, "DELETE FROM dca_control")
    with pytest.raises(DatabaseUnavailable, match="row of dca_control is gone"):
        rig.quote("103")
    with pytest.raises(DatabaseUnavailable, match="row of dca_control is gone"):
        rig.store.transaction(lambda tx: tx.next_epoch("account"))
    with pytest.raises(DatabaseUnavailable, match="row of dca_control is gone"):
        check(rig)


@pytest.mark.parametrize("word", ["WATCHING", "watching ", "asleep", ""])
def test_an_unknown_status_locks_its_asset_alone(rig: Rig, word: str) -> None:
    rig.store.run_script(INSERT.replace("BTC/USD", "ETH/USD"))
    rig.store.transaction(lambda tx: tx.insert_cycle(2, CycleStatus.WATCHING))
    rig.bought()
    past_the_rules(rig.store, f"UPDATE dca_cycles SET status = '{word}' WHERE id = 1")
    before = posts(rig)
    rig.look()
    for price in ("103", "90"):
        rig.quote(price)
    check(rig)
    check(rig)
    assert posts(rig) == before
    first, second = rig.store.transaction(lambda tx: tx.assets())
    assert f"status of cycle 1 is {word!r}, which is none of watching, buying" in (first.lock_reason or "")
    assert (first.lock_kind, second.lock_reason) == (LockKind.BREAK, None)
    raw = rig.store.transaction(lambda tx: tx._rows("SELECT status FROM dca_cycles WHERE id = 1"))
    assert raw[0]["status"] == word, "nothing is written over it"
    edit(rig, "UPDATE dca_cycles SET status = 'watching' WHERE id = 1")
    check(rig)
    assert rig.asset().lock_reason is None, "put right, it ends by itself"
    rig.look()
    rig.quote("103")
    assert posts(rig) == before + 1, "and its take-profit is executed"


def test_an_end_in_capitals_locks_too(rig: Rig) -> None:
    """The server takes it for the end of the cycle, and another one begins beside its coins."""
    rig.bought()
    ended = "UPDATE dca_cycles SET status = 'COMPLETE', completed_at = UTC_TIMESTAMP()"
    past_the_rules(rig.store, ended)
    before = posts(rig)
    check(rig)
    rig.look()
    rig.quote("90")
    assert "status of cycle 1 is 'COMPLETE'" in (rig.asset().lock_reason or "")
    assert posts(rig) == before


@pytest.mark.parametrize(
    ("column", "word"),
    [
        ("state", "DONE"),
        ("state", "Acked"),
        ("state", "lost"),
        ("side", "BUY"),
        ("side", "sell"),  # of a base order
        ("purpose", "Base"),
        ("purpose", "take_profit"),  # that buys
        ("order_type", "LIMIT"),
        ("qty_increment", "0"),
    ],
)
@pytest.mark.parametrize("is_filled", [True, False])
def test_an_unknown_word_of_an_order_locks_its_asset(
    rig: Rig, column: str, word: str, *, is_filled: bool
) -> None:
    rig.quote("100")
    name, before = rig.last_id(), posts(rig)
    if is_filled:
        rig.trader.books.book(rig.exchange.fill(name, price="100"))
    was = rig.orders()[0]
    past_the_rules(rig.store, f"UPDATE dca_orders SET {column} = '{word}' WHERE id = 1")
    held = rig.cycle().quantity
    rig.look()
    rig.settle()
    rig.trader.books.book(rig.exchange.fill(name, price="100"))
    for price in ("103", "90"):
        rig.quote(price)
    rig.clock.pass_seconds(300)
    check(rig)
    assert posts(rig) == before
    assert f"{word!r}" in (rig.asset().lock_reason or "") or "side is" in (rig.asset().lock_reason or "")
    assert rig.cycle().quantity == held, "what it holds is not computed from what cannot be read"
    edit(rig, f"UPDATE dca_orders SET {column} = '{getattr(was, column)}' WHERE id = 1")
    rig.settle()
    check(rig)
    assert rig.asset().lock_reason is None
    assert rig.cycle().quantity > 0 and rig.violations() == []


def test_a_lock_of_a_kind_that_is_not_known_ends_by_hand(rig: Rig, lonely: Operator) -> None:  # noqa: F811
    rig.bought()
    rig.store.transaction(lambda tx: tx.lock_asset(1, "the books disagree (I09)", rig.clock.now()))
    past_the_rules(rig.store, "UPDATE dca_assets SET lock_kind = 'BREAK'")
    check(rig)
    asset = rig.asset()
    assert asset.lock_kind is None
    assert asset.lock_reason is not None and "its lock_kind is 'BREAK'" in asset.lock_reason
    assert lonely.types("resume", "BTC/USD", "--yes").code == 0
    assert rig.asset().lock_reason is None


def test_words_of_the_records_are_read_too(ready: Store) -> None:
    now = ready.transaction(lambda tx: tx.server()).utc
    run_id = ready.transaction(lambda tx: tx.begin_run("watchdog", now))
    ready.run_script(
        "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at)"
        " VALUES ('break BTC/USD', 'money', 's', 'e', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6));\n"
    )
    past_the_rules(ready, "UPDATE incidents SET kind = 'Health'")
    past_the_rules(ready, f"UPDATE job_runs SET result = 'Done', ended_at = started_at WHERE id = {run_id}")
    (incident,) = ready.transaction(lambda tx: tx.incidents_since(now - timedelta(days=1)))
    assert incident.kind is IncidentKind.MONEY, "rather too much than too little"
    ready.transaction(lambda tx: tx.update_incident(replace(incident, subject="as it is now")))
    result = ready.transaction(lambda tx: tx.last_runs())["watchdog"].result
    assert result is not None and not result.is_known


COMMANDS = (
    *(
        "status",
        "why BTC/USD",
        "doctor",
        "assets",
        "cycles",
        "orders",
        "profit",
        "pause --yes",
        "resume --yes",
    ),
    *("sell BTC/USD --yes", "accept BTC/USD --yes", "adopt BTC/USD --yes", "disable BTC/USD --yes"),
    "resume BTC/USD --yes",
)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE dca_control SET mode = 'HALT'",
        "DELETE FROM dca_control",
        "UPDATE dca_cycles SET status = 'WATCHING'",
        "UPDATE dca_orders SET state = 'DONE'",
        "UPDATE dca_orders SET side = 'BUY', purpose = 'Base'",
        "UPDATE dca_orders SET fee_source = 'Assumed'",
        "UPDATE dca_assets SET lock_reason = 'x', lock_kind = 'BREAK', lock_checksum = CRC32('x')",
        "UPDATE job_runs SET result = 'Done'",
        "UPDATE incidents SET kind = 'Money'",
    ],
)
def test_every_command_answers(rig: Rig, lonely: Operator, sql: str) -> None:  # noqa: F811
    """Whatever the word, a person gets a screen or one clear line, and no traceback."""
    rig.bought()
    rig.store.transaction(lambda tx: tx.begin_run("watchdog", rig.clock.now()))
    edit(
        rig,
        "INSERT INTO incidents (name, kind, subject, evidence, began_at, seen_at)"
        " VALUES ('break BTC/USD', 'money', 's', 'e', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
    )
    past_the_rules(rig.store, sql)
    for command in COMMANDS:
        done = lonely.types(*command.split())
        assert done.code in {0, 1, 2}, command
        assert done.out or done.err, command
