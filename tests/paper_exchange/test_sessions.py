"""The stock exchange's calendar and clock, against days that the exchange published."""

from datetime import UTC, date, datetime

import pytest

from paper_exchange import sessions

CLOSED_2026 = ["01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25"]
CLOSED_2027 = ["01-01", "01-18", "02-15", "03-26", "05-31", "06-18", "07-05", "09-06", "11-25", "12-24"]


@pytest.mark.parametrize(("year", "closed"), [(2026, CLOSED_2026), (2027, CLOSED_2027)])
def test_holidays(year: int, closed: list[str]) -> None:
    days = {day["date"] for day in sessions.calendar(date(year, 1, 1), date(year, 12, 31))}
    weekdays = {
        day.isoformat()
        for number in range(365)
        if (day := date.fromordinal(date(year, 1, 1).toordinal() + number)).weekday() < 5
    }
    assert sorted(weekdays - days) == [f"{year}-{day}" for day in closed]


def test_an_early_close() -> None:
    (day,) = sessions.calendar(date(2026, 11, 27), date(2026, 11, 27))
    assert (day["close"], day["settlement_date"]) == ("13:00", "2026-11-30")


@pytest.mark.parametrize(
    ("now", "is_open", "next_open", "next_close"),
    [
        ("2026-12-01T14:29", False, "2026-12-01T09:30:00-05:00", "2026-12-01T16:00:00-05:00"),
        ("2026-12-01T14:30", True, "2026-12-02T09:30:00-05:00", "2026-12-01T16:00:00-05:00"),
        ("2026-07-01T13:30", True, "2026-07-02T09:30:00-04:00", "2026-07-01T16:00:00-04:00"),
        ("2026-11-26T15:00", False, "2026-11-27T09:30:00-05:00", "2026-11-27T13:00:00-05:00"),
        ("2026-12-05T15:00", False, "2026-12-07T09:30:00-05:00", "2026-12-07T16:00:00-05:00"),
    ],
)
def test_the_clock(now: str, is_open: bool, next_open: str, next_close: str) -> None:
    told = sessions.clock(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert (told["is_open"], told["next_open"], told["next_close"]) == (is_open, next_open, next_close)
