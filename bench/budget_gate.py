"""Every request of a simulated machine, counted by the request budget's own rules."""

from collections import Counter
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from dca.core.errors import RateLimited
from dca.core.model import Side
from dca.exchange import request_budget as pace
from dca.exchange.request_budget import ALL_OF_MAIN_APP, Kind, Pace
from proof.simulation.exchange import SimBroker
from proof.simulation.hub import BEGIN, Hub, Process

LIMIT = 200
"""A minute, of an account at the trading host (alpaca.md 2.7)."""
WINDOW_SECONDS = 60.0
MAIN_APP = "main_app"
DATA = "latest_quotes"
"""The one call that goes to the data host, which has a limit of its own."""
_KINDS = {
    "order": Kind.LOOK_UP,
    "open_orders": Kind.LOOK_UP,
    "positions": Kind.LOOK_UP,
    "position": Kind.EXIT,
    "cancel": Kind.EXIT,
}
"""As broker.Broker has them; what is not here is Kind.ORDINARY, but for orders, which are of their side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One that went out: when, whose (main_app's or a caretaker's), and what it asked for."""

    seconds: float
    script: str
    call: str
    kind: Kind

    @property
    def is_trading(self) -> bool:
        return self.call != DATA


@dataclass(slots=True)
class CountingGate:
    """Implements exchange.Gate. `refused`: what a pace did not let go out, by script and kind. `over_limit`:
    what the exchange would have answered with 429."""

    hub: Hub
    requests: list[Request] = field(default_factory=list)
    refused: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    over_limit: int = 0
    _paces: WeakKeyDictionary[Process, Pace] = field(default_factory=WeakKeyDictionary)
    _reserved: WeakKeyDictionary[SimBroker, tuple[float, Kind]] = field(default_factory=WeakKeyDictionary)
    _minute: tuple[int, int] = (0, 0)
    """Which one, and how many requests the exchange has counted in it."""

    def reserve(self, broker: SimBroker, side: Side) -> None:
        """A reservation that came to no order is given back, as broker.Broker does it."""
        before = self._reserved.pop(broker, None)
        if before is not None:
            self._pace_of(broker).give_back(before[0])
        self._reserved[broker] = (self._take(broker, Kind.of(side)), Kind.of(side))

    def passes(self, broker: SimBroker, call: str) -> None:
        """Raises:
        RateLimited: as broker.Broker does.
        """
        kind = kind_of(call)
        if call == "submit":
            kind = self._reserved.pop(broker)[1]  # a KeyError: an order that nobody reserved a request for
        elif call != DATA:
            self._take(broker, kind)
        request = Request(seconds=self.hub.seconds, script=script_of(broker), call=call, kind=kind)
        self.requests.append(request)
        if request.is_trading:
            self._count_there(self._pace_of(broker))

    def _take(self, broker: SimBroker, kind: Kind) -> float:
        try:
            return self._pace_of(broker).take(kind)
        except RateLimited:
            self.refused[script_of(broker), kind] += 1
            raise

    def _pace_of(self, broker: SimBroker) -> Pace:
        """One for all threads of a process."""
        process = broker.process
        if process not in self._paces:
            most = pace.main_app if script_of(broker) == MAIN_APP else pace.others
            self._paces[process] = Pace(process.clock, most(ALL_OF_MAIN_APP))
        return self._paces[process]

    def _count_there(self, pace: Pace) -> None:
        """The exchange counts by the minute, and says in each answer what it still takes."""
        minute = int(self.hub.seconds // WINDOW_SECONDS)
        number, count = self._minute
        self._minute = (minute, count + 1 if number == minute else 1)
        left = LIMIT - self._minute[1]
        self.over_limit += left < 0
        headers = {
            "X-RateLimit-Limit": str(LIMIT),
            "X-RateLimit-Remaining": str(max(left, 0)),
            "X-RateLimit-Reset": str(int(BEGIN.timestamp() + (minute + 1) * WINDOW_SECONDS)),
        }
        pace.answered(200 if left >= 0 else 429, headers)


def kind_of(call: str) -> Kind:
    """What a call of broker.Broker that is no order counts as."""
    return _KINDS.get(call, Kind.ORDINARY)


def script_of(broker: SimBroker) -> str:
    return broker.process.name.partition("#")[0]
