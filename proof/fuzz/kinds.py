"""All kinds of input, and how many of each there are in a run."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from dca.runtime.settings import DatabaseSettings
from integration.database import LocalDatabase
from proof.fuzz.edits import Edits
from proof.fuzz.environment import Environment
from proof.fuzz.frames import OrderFrames, QuoteFrames
from proof.fuzz.recordings import Recordings
from proof.fuzz.rest import Rest
from proof.fuzz.rows import Rows
from proof.fuzz.verdicts import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A kind: what it is, and its part of a thousand inputs."""

    share: int
    what: str
    make: Callable[[], Kind] | None = None
    """None: it needs a database."""


DOORS = {
    "rest": Door(share=400, what="REST answers", make=Rest),
    "order-frames": Door(share=130, what="order stream", make=OrderFrames),
    "quote-frames": Door(share=130, what="quote stream", make=QuoteFrames),
    "rows": Door(share=190, what="assets and cycles", make=Rows),
    "env": Door(share=50, what=".env files", make=Environment),
    "replay": Door(share=80, what="recorded prices", make=Recordings),
    Edits.name: Door(share=20, what="SQL at the database"),
}


def shares(inputs: int, names: list[str]) -> dict[str, int]:
    """How many inputs each of these kinds gets: together at least as many as asked for."""
    whole = sum(DOORS[name].share for name in names)
    return {name: -(-inputs * DOORS[name].share // whole) for name in names}


@contextmanager
def opened(name: str, database: DatabaseSettings | None = None) -> Iterator[Kind]:
    """A kind, ready; one that needs a database gets one of its own unless it is given.

    Raises:
        integration.problems.Refused: there is no database server and none can be started.
    """
    make = DOORS[name].make
    if make is not None:
        with closing(make()) as kind:
            yield kind
    elif database is not None:
        with closing(Edits(database)) as kind:
            yield kind
    else:
        local = LocalDatabase()
        try:
            with closing(Edits(local.settings)) as kind:
                yield kind
        finally:
            local.drop(keep=False)
