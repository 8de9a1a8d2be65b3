"""Processes that die, and that are started again."""

from collections.abc import Iterator

from proof.model import exchange
from proof.model.processes import NAMES
from proof.model.state import (
    CARETAKER,
    DOWN,
    GONE,
    IDLE,
    MAIN,
    OLD,
    START,
    Process,
    State,
    Step,
    process,
    spent,
    with_process,
)


def steps(state: State) -> Iterator[Step]:
    if state.main.at == DOWN:
        started = _with_new_epoch(state._replace(main=START))
        yield Step("main starts", -1, started)
    if state.budget.crashes:
        for who in (MAIN, OLD, CARETAKER):
            yield from _crash(state, who)
    if state.budget.overlaps and state.main.at != DOWN and state.old == GONE:
        older = exchange.overtaken(state._replace(old=state.main._replace(outdated=True), main=START))
        words = "a second main starts; the first one lives on"
        yield Step(words, -1, spent(_with_new_epoch(older), "overlaps"), fault=True)


def _crash(state: State, who: str) -> Iterator[Step]:
    me = process(state, who)
    if me.at == DOWN or (me.at == IDLE and who == CARETAKER):
        return
    dead = exchange.silenced(with_process(state, who, _after_death(who)), who)
    if who == MAIN:
        rows = tuple(row._replace(events=frozenset()) for row in dead.rows)
        dead = dead._replace(rows=rows)
    yield Step(f"{NAMES[who]} dies", -1, spent(dead, "crashes"), fault=True)


def _after_death(who: str) -> Process:
    """Cron starts the next caretaker a minute later; a main_app is started by the watchdog."""
    return START if who == CARETAKER else GONE


def _with_new_epoch(state: State) -> State:
    """A caretaker in the middle of its run has read the older epoch."""
    if state.caretaker.at == IDLE:
        return state
    return state._replace(caretaker=state.caretaker._replace(outdated=True))
