"""The part `processes`: a caretaker with nothing to do, main_app at rest, from kill -9 to the first order,
and, where there is time for it, a week in minutes."""

from bench import processes_caretakers, processes_rest, processes_start, processes_week
from bench.ground import Ground
from bench.row import Row


def rows(ground: Ground, *, quick: bool) -> list[Row]:
    found = processes_caretakers.rows(ground, quick=quick)
    found += processes_rest.rows(ground, quick=quick)
    found += processes_start.rows(ground, quick=quick)
    if quick or ground.full:
        found += processes_week.rows(ground, quick=quick)
    return found
