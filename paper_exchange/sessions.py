"""The stock exchange's days and hours, as Alpaca's clock and calendar tell them. Pure."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
NEW_YORK = ZoneInfo("America/New_York")
_DAY = timedelta(days=1)


def _easter(year: int) -> date:
    century, golden = year // 100, year % 19
    epact = (century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    epact -= (epact // 28) * (1 - (29 // (epact + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + epact + 2 - century + century // 4) % 7
    past = epact - weekday
    month = 3 + (past + 40) // 44
    return date(year, month, past + 28 - 31 * (month // 4))


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _observed(day: date) -> date:
    return day + {5: -_DAY, 6: _DAY}.get(day.weekday(), timedelta(0))


def _holidays(year: int) -> set[date]:
    new_year = date(year, 1, 1)
    found = {
        _nth(year, 1, 0, 3),
        _nth(year, 2, 0, 3),
        _easter(year) - 2 * _DAY,
        _nth(year, 6, 0, 1) - 7 * _DAY,
        _observed(date(year, 7, 4)),
        _nth(year, 9, 0, 1),
        _nth(year, 11, 3, 4),
        _observed(date(year, 12, 25)),
    }
    if new_year.weekday() != 5:  # a Saturday's is not made up for: the year's books are closed the day before
        found.add(_observed(new_year))
    return found | ({_observed(date(year, 6, 19))} if year >= 2022 else set())


def is_open_on(day: date) -> bool:
    return day.weekday() < 5 and day not in _holidays(day.year)


def _closes(day: date) -> time:
    early = {_nth(day.year, 11, 3, 4) + _DAY, date(day.year, 12, 24), date(day.year, 7, 3)}
    return time(13) if day in early else time(16)


def _next(day: date) -> date:
    day += _DAY
    while not is_open_on(day):
        day += _DAY
    return day


def calendar(start: date, end: date) -> list[Json]:
    """The days between two, both included, on which it opens."""
    days = (start + number * _DAY for number in range((end - start).days + 1))
    return [
        {
            "date": day.isoformat(),
            "open": "09:30",
            "close": f"{_closes(day):%H:%M}",
            "session_open": "0400",
            "session_close": "2000" if _closes(day) == time(16) else "1700",
            "settlement_date": _next(day).isoformat(),
        }
        for day in days
        if is_open_on(day)
    ]


def clock(now: datetime) -> Json:
    """Whether it is open, and when it opens and closes next, in New York's time."""
    local = now.astimezone(NEW_YORK)
    today = local.date()
    opens, closes = _hours(today)
    is_open = is_open_on(today) and opens <= local < closes
    before = is_open_on(today) and local < opens
    next_open = opens if before else _hours(_next(today))[0]
    next_close = closes if before or is_open else _hours(next_open.date())[1]
    return {
        "timestamp": local.isoformat(),
        "is_open": is_open,
        "next_open": next_open.isoformat(),
        "next_close": next_close.isoformat(),
    }


def _hours(day: date) -> tuple[datetime, datetime]:
    return (
        datetime.combine(day, time(9, 30), NEW_YORK),
        datetime.combine(day, _closes(day), NEW_YORK),
    )
