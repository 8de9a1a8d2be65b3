"""The product's log lines of one run: the last ones for a person, and counts of what was told."""

import logging
import re
from collections import Counter, deque

from proof.simulation.hub import Hub
from proof.simulation.weather import Weather

_KEPT = 4000
_SHAPE = re.compile(r"^(?P<tag>\S+) \S+ \S+ (?:[A-Z]+/USD )?(?P<what>[a-z][a-z' ,:-]*[a-z])")


class LogBook(logging.Handler):
    """Hears everything that the processes log, as long as it is open."""

    def __init__(self, hub: Hub, weather: Weather) -> None:
        super().__init__()
        self._hub = hub
        self._weather = weather
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self.told: Counter[str] = Counter()
        self._log = logging.getLogger("dca")
        self._log.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.args[0]) if isinstance(record.args, tuple) and record.args else record.msg
        self.lines.append(f"{self._hub.seconds:9.3f} {text}")
        shape = _SHAPE.match(text)
        if shape is not None:
            self.told[f"{shape['tag']}: {shape['what']}"] += 1

    def close(self) -> None:
        self._log.removeHandler(self)
        super().close()
