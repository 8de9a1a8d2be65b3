"""What a scenario is."""

from collections.abc import Callable
from dataclasses import dataclass

from integration.market import Market
from integration.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`play` makes sure of the prerequisite itself, so that each can be played alone; it raises Failed, or
    NotHere. `symbols`: the pairs that it trades."""

    number: int
    name: str
    prerequisite: str
    action: str
    expects: tuple[str, ...]
    play: Callable[[World, Market], None]
    symbols: tuple[str, ...] = ()
