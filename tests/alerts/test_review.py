"""Reviews on a real database with a real mail server: what is noted, what is sent, and what waits."""

import logging
import threading
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from dca.alerts import outage
from dca.core.operations import Result
from dca.database.store import Transaction
from tests import reviewing
from tests.post_office import sink
from tests.reviewing import APP_DOWN, LOCK, UNLOCK, WATCHDOG, Desk
from tests.sales import Sale, complete

desk, office = reviewing.desk, reviewing.office  # fixtures: an import would clash with arguments


def test_a_break_is_mailed_once_and_so_is_its_end(desk: Desk) -> None:
    desk.store.run_script(LOCK)
    for _ in range(3):
        desk.review()
    assert desk.open() == ["break BTC/USD"]
    desk.store.run_script(UNLOCK)
    for _ in range(3):
        desk.review()
    assert desk.open() == []
    assert desk.office.subjects == [
        "[DCA PAPER] BTC/USD is locked: the books disagree",
        "[DCA PAPER] recovered: BTC/USD is locked: the books disagree",
    ]
    assert "holds 1, booked 2" in desk.office.text(0)
    assert desk.waiting() == []


def test_a_review_that_cannot_judge_main_app_leaves_its_incident_alone(desk: Desk) -> None:
    desk.review(APP_DOWN, judged=WATCHDOG)
    desk.review()
    assert desk.open() == ["main app down"]
    desk.review(judged=WATCHDOG)
    assert desk.open() == []
    assert desk.office.subjects == [
        "[DCA PAPER] main_app was down",
        "[DCA PAPER] recovered: main_app was down",
    ]


def test_two_reviews_at_once_send_one_mail(desk: Desk) -> None:
    desk.store.run_script(LOCK)
    threads = [threading.Thread(target=desk.review, kwargs={"minutes": 0}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(desk.office.subjects) == 1
    assert desk.open() == ["break BTC/USD"]


# ---- a mail server that does not take it -------------------------------------------------------------------


def test_F66_unsent_mail_waits_and_goes_out_later(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "dca")
    desk.store.run_script(LOCK)
    desk.office.answer = "550 not today"
    for _ in range(3):
        desk.review()
    (mail,) = desk.waiting()
    assert (mail.tries, mail.last_error) == (3, "550 not today")
    assert caplog.text.count("550 not today") == 1
    desk.office.answer = "250 taken"
    desk.review()
    assert desk.waiting() == []
    assert desk.office.subjects == ["[DCA PAPER] BTC/USD is locked: the books disagree"]


@pytest.mark.parametrize("trickle", [b"", b"220-wait\r\n"])
def test_F66_a_mail_server_that_hangs_costs_the_limit(desk: Desk, trickle: bytes) -> None:
    desk.store.run_script(LOCK)
    with sink(trickle=trickle) as port:
        before = time.monotonic()
        desk.review(settings=desk.mailed_at(port), seconds=0.5)
        assert time.monotonic() - before < 0.5 + 1.0
    (mail,) = desk.waiting()
    assert mail.tries == 1 and mail.last_error
    desk.review()
    assert len(desk.office.messages) == 1


def test_ten_an_hour_and_the_rest_in_one(desk: Desk) -> None:
    now = desk.clock.now()

    def queue(tx: Transaction) -> None:
        for number in range(30):
            tx.insert_mail("x", f"[DCA PAPER] {number}", f"text {number}.", now)

    desk.store.transaction(queue)
    for _ in range(45):
        desk.review()
    assert len(desk.office.messages) <= 10
    assert desk.waiting() == []
    everything = "\n".join(desk.office.text(number) for number in range(len(desk.office.messages)))
    assert all(f"text {number}." in everything for number in range(30))


# ---- no database -------------------------------------------------------------------------------------------


DATABASE_DOWN = "[DCA PAPER] The database does not answer"


def test_without_a_database_one_mail_goes_out_and_is_recorded_when_it_is_back(desk: Desk) -> None:
    desk.store.run_script(LOCK)
    desk.review()
    for _ in range(5):
        desk.review(APP_DOWN, judged=WATCHDOG, settings=desk.down)
    assert desk.office.subjects[1:] == [DATABASE_DOWN]
    assert "Also wrong: main_app was down. It was not running." in " ".join(desk.office.text().split())
    desk.review(judged=WATCHDOG)
    desk.review(judged=WATCHDOG)
    assert desk.office.subjects[2:] == ["[DCA PAPER] recovered: The database does not answer"]
    assert [(each.name, each.mails) for each in desk.incidents()] == [
        ("break BTC/USD", 1),
        ("database down", 1),
    ]
    assert desk.open() == ["break BTC/USD"]
    assert not (desk.settings.state_dir / "outage.json").exists()


def test_an_outage_of_the_database_that_lasts_is_repeated_every_six_hours(desk: Desk) -> None:
    for _ in range(13):
        desk.review(settings=desk.down, minutes=60)
    assert desk.office.subjects == [DATABASE_DOWN, *["[DCA PAPER] still: The database does not answer"] * 2]


def test_what_was_not_taken_while_the_database_was_down_is_tried_again(desk: Desk) -> None:
    desk.office.answer = "450 later"
    desk.review(settings=desk.down)
    desk.office.answer = "250 taken"
    desk.review(settings=desk.down)
    desk.review(settings=desk.down)
    assert desk.office.subjects == [DATABASE_DOWN]
    desk.review()
    assert [(each.name, each.mails) for each in desk.incidents()] == [("database down", 1)]


def test_F68_without_a_database_and_on_a_full_disk_there_is_silence(desk: Desk) -> None:
    """No memory at all: rather silence than a mail with every review. What was mailed is remembered."""
    path = desk.settings.state_dir / "outage.json"
    path.with_suffix(".tmp").mkdir()  # nothing can be written
    for _ in range(5):
        desk.review(settings=desk.down, minutes=40)
    assert desk.office.subjects == []
    path.with_suffix(".tmp").rmdir()
    for _ in range(3):
        desk.review(settings=desk.down)
    assert desk.office.subjects == [DATABASE_DOWN]
    path.with_suffix(".tmp").mkdir()
    for _ in range(20):
        desk.review(settings=desk.down, minutes=60)
    assert desk.office.subjects == [DATABASE_DOWN]
    path.with_suffix(".tmp").rmdir()
    desk.review()
    told = [subject for subject in desk.office.subjects if "digest" not in subject]
    assert told[1:] == ["[DCA PAPER] recovered: The database does not answer"]


def test_a_file_that_cannot_be_removed_is_recorded_once(desk: Desk) -> None:
    desk.review(settings=desk.down)
    path = desk.settings.state_dir / "outage.json"
    kept = path.read_text()
    for _ in range(3):
        desk.review()
        path.write_text(kept)
    assert desk.office.subjects == [DATABASE_DOWN, "[DCA PAPER] recovered: The database does not answer"]
    assert [each.name for each in desk.incidents()] == ["database down"]


def test_locks_that_cannot_be_made_stop_no_mail(desk: Desk, tmp_path: Path) -> None:
    desk.store.run_script(LOCK)
    for _ in range(2):
        desk.review(settings=replace(desk.settings, state_dir=tmp_path / "gone"))
    assert len(desk.office.subjects) == 1


def test_what_ended_while_the_database_was_down_has_ended(desk: Desk) -> None:
    desk.review(APP_DOWN, judged=WATCHDOG)
    desk.review(judged=WATCHDOG, settings=desk.down)
    desk.review(judged=WATCHDOG)
    assert desk.open() == []
    subjects = [subject for subject in desk.office.subjects if "main_app" in subject]
    assert subjects == ["[DCA PAPER] main_app was down", "[DCA PAPER] recovered: main_app was down"]


def test_a_memory_that_is_damaged_stops_nothing(desk: Desk) -> None:
    path = desk.settings.state_dir / "outage.json"
    for damage in ("", "{", "[]", '{"name": 1}', "null"):
        path.write_text(damage)
        assert outage.read(path) is None
    desk.store.run_script(LOCK)
    desk.review()
    assert len(desk.office.messages) == 1
    assert desk.open() == ["break BTC/USD"]


# ---- mail off ----------------------------------------------------------------------------------------------


def test_without_mail_incidents_are_noted_and_the_log_has_them(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dca")
    off = replace(desk.settings, email=None)
    desk.store.run_script(LOCK)
    for _ in range(3):
        desk.review(settings=off)
    assert desk.open() == ["break BTC/USD"]
    assert desk.waiting() == []
    assert caplog.text.count("break BTC/USD: BTC/USD is locked") == 1
    assert caplog.text.count("digest - - net profit today $0.00") == 1
    desk.clock.pass_seconds(86400)
    desk.review(settings=off)
    assert caplog.text.count("digest - - net profit today") == 2
    assert desk.office.messages == []


# ---- digest and cycles -------------------------------------------------------------------------------------

CYCLES = """
INSERT INTO dca_cycles (asset_id, status, completed_at, safety_orders, average_purchase_price, bought_qty,
    bought_cost, buy_fee_qty, sold_qty, sold_proceeds, sell_fee)
  VALUES (1, 'complete', '2026-01-02 01:00:00', 2, 100, 0.2, 20, 0.0005, 0.1995, 21, 0.05);
INSERT INTO dca_cycles (asset_id, status, completed_at, bought_cost, sold_qty, sold_proceeds)
  VALUES (1, 'complete', '2025-12-28 01:00:00', 20, 1, 22);
INSERT INTO dca_cycles (asset_id, status, completed_at, bought_cost, sold_qty, sold_proceeds)
  VALUES (1, 'complete', '2025-06-01 01:00:00', 20, 1, 50);
UPDATE dca_cycles SET quantity = 1995, bought_qty = 2000, buy_fee_qty = 5, bought_cost = 6000,
    average_purchase_price = 3, last_order_fill_price = 2.4, safety_orders = 3 WHERE id = 2;
"""


def test_the_digest_comes_every_day_once_also_on_quiet_days(desk: Desk) -> None:
    desk.settings = replace(desk.settings, digest_hour_utc=7)
    for _ in range(3 * 24):
        desk.review(minutes=60)
    at = [str(each["Date"])[5:22] for each in desk.office.messages if "digest" in str(each["Subject"])]
    assert at == ["02 Jan 2026 07:04", "03 Jan 2026 07:04", "04 Jan 2026 07:04"]
    assert len(desk.office.messages) == 3


def test_what_the_digest_says(desk: Desk) -> None:
    desk.store.run_script(CYCLES + LOCK)
    now = desk.clock.now()

    def runs(tx: Transaction) -> None:
        for result in (Result.DONE, Result.FAILED):
            run = tx.begin_run("order_manager", now - timedelta(minutes=5))
            tx.end_run(run, result, now, checked=0, changed=0, details=None)

    desk.store.transaction(runs)
    desk.review()
    desk.settings = replace(desk.settings, digest_hour_utc=now.hour)
    desk.clock.pass_seconds(60)
    asked: list[list[str]] = []

    def bids(symbols: list[str]) -> dict[str, Decimal]:
        asked.append(symbols)
        return {"ETH/USD": Decimal("2.5")}

    desk.review(bids=bids)
    desk.review(bids=bids)
    assert asked == [["ETH/USD"]], "once, and only for what is held"
    assert desk.office.subjects[-1] == "[DCA PAPER] digest 2026-01-02: +$0.95 today, 1 cycle, 1 open incident"
    text = desk.office.text()
    for line in (
        "- today: +$0.95 from 1 completed cycle",
        "- 7 days: +$2.95 from 2 completed cycles",
        "- 30 days: +$2.95 from 2 completed cycles",
        "- in all: +$32.95 from 3 completed cycles",
        "Open cycles: 2; 1 open cycle holds coins, $6,000.00 spent; "
        "sold at the bid now: -$1,024.97 after all fees",
        "- ETH/USD: 1995 at an average of 3, cost $6,000.00, safety orders 3",
        "Worst drawdown: ETH/USD, whose last buy was 20.00 % below its average price.",
        "- BTC/USD is locked: holds 1, booked 2",
        "Incidents of the last 24 hours: 1",
        "- order_manager: 2 runs, 1 failed, last at 2026-01-02 02:59:05 UTC",
        "Mails that wait to be sent: 0",
    ):
        assert line in text.splitlines(), text
    assert max(map(len, text.splitlines())) <= 110


def test_a_closed_cycle_is_mailed_once_if_wanted(desk: Desk) -> None:
    desk.store.run_script(CYCLES)
    desk.review()
    assert desk.office.messages == []
    desk.settings = replace(desk.settings, send_mail_on_closed_cycles=True)
    desk.review()
    desk.review()
    assert desk.office.subjects == ["[DCA PAPER] BTC/USD: cycle complete, +$0.95"]
    for line in (
        "Bought: 0.2 for $20.00, at an average of 100",
        "Sold: 0.1995 for $21.00",
        "Fees: $0.10",
        "Net profit: +$0.95 (+4.75 % of what was paid)",
        "Safety orders: 2",
    ):
        assert line in desk.office.text().splitlines()


def test_the_mail_of_a_cycle_waits_for_its_exact_fees(desk: Desk) -> None:
    """Five minutes at most: its numbers are those of the tables."""
    desk.settings = replace(desk.settings, send_mail_on_closed_cycles=True)
    number = complete(desk.store, Sale(1, desk.clock.now()))
    desk.review(minutes=2)
    assert desk.office.subjects == []

    def know(tx: Transaction) -> None:
        tx._write("UPDATE dca_orders SET fee_source = 'executions' WHERE cycle_id = %s", [number])

    desk.store.transaction(know)
    desk.review()
    assert desk.office.subjects == ["[DCA PAPER] BTC/USD: cycle complete, +$1.89"]
    complete(desk.store, Sale(2, desk.clock.now()))
    desk.review(minutes=5)
    assert len(desk.office.subjects) == 1
    desk.review()
    assert len(desk.office.subjects) == 2


def test_a_digest_without_bids_says_so(desk: Desk) -> None:
    desk.store.run_script(CYCLES)
    desk.settings = replace(desk.settings, digest_hour_utc=desk.clock.now().hour)
    desk.clock.pass_seconds(60)
    desk.review()
    assert "$6,000.00 spent; no bid is known, so they are not valued" in desk.office.text()


def test_old_rows_go_once_a_day(desk: Desk) -> None:
    old = desk.clock.now() - timedelta(days=91)
    desk.store.transaction(lambda tx: tx.begin_run("watchdog", old))
    desk.review(minutes=60 * 24)
    assert desk.store.transaction(lambda tx: tx.first_run_at()) == old
    desk.review()
    assert desk.store.transaction(lambda tx: tx.first_run_at()) is None
