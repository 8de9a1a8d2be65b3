"""What begins, lasts and is over; and which of it is worth a mail."""

from dataclasses import replace
from datetime import datetime, timedelta

from dca.alerts import incidents
from dca.alerts.incidents import OVER, Draft, Known
from dca.core.operations import Finding, Incident, IncidentKind
from tests.builders import NOW


def finding(name: str = "break BTC/USD", evidence: str = "0.2 here, 0.1 there") -> Finding:
    return Finding(name=name, kind=IncidentKind.MONEY, subject=f"about {name}", evidence=evidence)


class Book:
    """Does what the tables do, and keeps the mails with their minutes."""

    def __init__(self, *, mails: bool = True) -> None:
        self.known: dict[int, Known] = {}
        self.mails: list[tuple[float, Draft]] = []
        self.is_mail_on = mails

    def look(self, minute: float, *names: str, judged: tuple[str, ...] = ("break",)) -> None:
        now = NOW + timedelta(minutes=minute)
        changes = incidents.decide(
            list(self.known.values()), [finding(name) for name in names], judged, now, mails=self.is_mail_on
        )
        rows: list[Incident] = [*changes.changed]
        for new in changes.begun:
            assert not [each for each in self.open() if each.name == new.name], "open twice"
            rows.append(_with_id(new, len(self.known) + 1))
            self.known[len(self.known) + 1] = Known(incident=rows[-1])
        for row in rows:
            self.known[row.id] = _replaced(self.known[row.id], row)
        for draft in changes.mails:
            self.mails.append((minute, draft))
            self._told(draft, now)

    def _told(self, draft: Draft, now: datetime) -> None:
        name = draft.name.removeprefix(OVER)
        key = max(key for key, each in self.known.items() if each.incident.name == name)
        old = self.known[key]
        is_over = draft.name != name
        self.known[key] = Known(
            incident=old.incident,
            told_at=old.told_at if is_over else now,
            told_over_at=now if is_over else old.told_over_at,
        )

    def open(self) -> list[Incident]:
        return [each.incident for each in self.known.values() if each.incident.ended_at is None]

    def subjects(self) -> list[tuple[float, str]]:
        return [(minute, draft.subject) for minute, draft in self.mails]


def _with_id(incident: Incident, number: int) -> Incident:
    return replace(incident, id=number)


def _replaced(known: Known, incident: Incident) -> Known:
    return replace(known, incident=incident)


def test_one_mail_when_it_begins_and_one_when_it_is_over() -> None:
    book = Book()
    for minute in range(10):
        book.look(minute, "break BTC/USD")
    for minute in range(10, 90):
        book.look(minute)
    assert book.subjects() == [(0, "about break BTC/USD"), (10, "recovered: about break BTC/USD")]
    assert book.open() == []
    (known,) = book.known.values()
    assert known.incident.began_at == NOW
    assert known.incident.seen_at == NOW + timedelta(minutes=9)
    assert known.incident.ended_at == NOW + timedelta(minutes=10)


def test_reminders_after_one_six_and_twenty_four_hours() -> None:
    book = Book()
    for minute in range(60 * 72):
        book.look(minute, "break BTC/USD")
    assert [minute for minute, _ in book.mails] == [0, 60, 360, 1440]
    assert [draft.subject for _, draft in book.mails[1:]] == ["still: about break BTC/USD"] * 3
    assert "1 h 0 min later" in book.mails[1][1].body
    assert [each.mails for each in book.open()] == [4]


def test_after_hours_without_a_look_one_reminder_is_enough() -> None:
    book = Book()
    for minute in (0, 1, 600, 601):
        book.look(minute, "break BTC/USD")
    assert [minute for minute, _ in book.mails] == [0, 600]


def test_the_mail_says_what_where_and_when() -> None:
    book = Book()
    book.look(0, "break BTC/USD")
    book.look(5)
    begun, over = book.mails[0][1], book.mails[1][1]
    assert begun.name == "break BTC/USD"
    assert "0.2 here, 0.1 there" in begun.body and "2026-01-02 03:04:05 UTC" in begun.body
    assert over.name == "over: break BTC/USD"
    for text in ("0.2 here, 0.1 there", "2026-01-02 03:04:05 UTC", "2026-01-02 03:09:05 UTC"):
        assert text in over.body


def test_each_incident_for_itself() -> None:
    book = Book()
    book.look(0, "break BTC/USD", "break ETH/USD")
    book.look(1, "break ETH/USD")
    assert [each.name for each in book.open()] == ["break ETH/USD"]
    assert [subject for _, subject in book.subjects()] == [
        "about break BTC/USD",
        "about break ETH/USD",
        "recovered: about break BTC/USD",
    ]


def test_F67_ten_minutes_of_coming_and_going_make_three_mails_at_most() -> None:
    for period in (2, 3, 4, 5, 7):
        book = Book()
        for minute in range(10):
            book.look(minute, *(["break BTC/USD"] if minute % period < period / 2 else []))
        for minute in range(10, 200):
            book.look(minute)
        assert 2 <= len(book.mails) <= 3, (period, book.subjects())
        assert book.mails[-1][1].name == "over: break BTC/USD"
        assert len(book.known) == 1


def test_what_comes_and_goes_for_a_day_is_mailed_ever_more_seldom_and_truly() -> None:
    book = Book()
    for minute in range(60 * 24):
        book.look(minute, *(["break BTC/USD"] if minute % 2 else []))
    assert len(book.mails) <= 24
    gaps = [after - before for (before, _), (after, _) in zip(book.mails[1:], book.mails[2:], strict=False)]
    assert min(gaps) >= 10
    first_hour = [minute for minute, _ in book.mails if minute < 60]
    assert len(first_hour) <= 6


def test_what_came_back_for_good_is_told_after_all() -> None:
    book = Book()
    book.look(0, "break BTC/USD")
    book.look(1)
    for minute in range(2, 59):
        book.look(minute, "break BTC/USD")
    assert book.subjects()[2:] == [(11, "again: about break BTC/USD")]
    for minute in range(59, 120):
        book.look(minute)
    assert book.subjects()[3:] == [(59, "recovered: about break BTC/USD")]
    assert len(book.known) == 1


def test_later_it_is_another_incident() -> None:
    book = Book()
    book.look(0, "break BTC/USD")
    book.look(1)
    book.look(12, "break BTC/USD")
    assert len(book.known) == 2
    assert book.subjects()[-1] == (12, "about break BTC/USD")


def test_what_was_not_judged_is_not_over_and_not_reminded_of() -> None:
    book = Book()
    book.look(0, "break BTC/USD")
    for minute in range(1, 500):
        book.look(minute, judged=("breakfast", "break BTC", "refused", "database down"))
    assert [each.name for each in book.open()] == ["break BTC/USD"]
    assert len(book.mails) == 1
    book.look(500, judged=("break BTC/USD",))
    assert book.open() == []


def test_without_mail_it_is_written_down_and_told_once_mail_is_on() -> None:
    book = Book(mails=False)
    book.look(0, "break BTC/USD", "break ETH/USD")
    book.look(1, "break BTC/USD")
    assert book.mails == []
    assert [(each.name, each.mails) for each in book.open()] == [("break BTC/USD", 0)]
    book.is_mail_on = True
    book.look(2, "break BTC/USD")
    book.look(3)
    assert book.subjects() == [(2, "about break BTC/USD"), (3, "recovered: about break BTC/USD")]
    book.look(20, "break BTC/USD")
    book.is_mail_on = False
    book.look(21)
    assert [minute for minute, _ in book.mails] == [2, 3, 20]


def test_a_name_that_is_too_long_for_its_column_is_still_one_incident() -> None:
    book = Book()
    for minute in range(3):
        book.look(minute, "break " + "x" * 300)
    book.look(4)
    assert len(book.mails) == 2
    assert all(len(draft.name) <= 120 for _, draft in book.mails)


def test_buys_turned_off_by_the_watchdog_are_no_second_mail() -> None:
    book = Book()

    def names(*found: str) -> list[str]:
        known = list(book.known.values())
        return [each.name for each in incidents.without_echoes([finding(name) for name in found], known)]

    assert names("kill switch", "main app left down") == ["main app left down"]
    book.look(0, "main app left down", judged=("main app left down",))
    assert names("kill switch") == []
    book.look(5, judged=("main app left down",))
    assert names("kill switch") == ["kill switch"]
    book.look(6, "kill switch", judged=("kill switch",))
    assert names("kill switch", "main app left down") == ["kill switch", "main app left down"]
    assert names("caretaker overdue order_manager", "exchange down", "keys refused") == ["keys refused"]
    assert names("caretaker overdue order_manager", "start refused") == ["start refused"]
    assert names("caretaker overdue order_manager") == ["caretaker overdue order_manager"]
