"""Keys that the exchange refuses are asked for again, while somebody is there to answer."""

from collections.abc import Mapping
from functools import partial

import dca.settings
from dca import start_checks
from dca.broker import Broker
from dca.errors import ExchangeUnavailable, KeysRefused
from dca.operator import layout, questions
from dca.operator.questions import Ask
from dca.operator.tools import Tools
from dca.pace import Pace, others

KEEPS = "Enter keeps what stands in [brackets]."


def asked_until_good(values: Mapping[str, str], tools: Tools, ask: Ask) -> Mapping[str, str]:
    """The values with keys that the exchange takes, or with refused ones that somebody wants to keep. An
    exchange that does not answer has refused nothing."""
    while (refusal := _refusal(values, tools)) is not None:
        layout.tell(tools.console, f"{refusal}. {KEEPS}")
        again = questions.keys_asked_again(values, ask, partial(layout.tell, tools.console))
        if again == values:
            break
        values = again
    return values


def _refusal(values: Mapping[str, str], tools: Tools) -> str | None:
    settings = dca.settings.parse(values, env_file_mode=questions.PRIVATE)
    broker = Broker(settings.exchange, Pace(tools.clock, others(settings.requests_per_minute)))
    try:
        start_checks.read_account(broker, settings.exchange)
    except KeysRefused as error:
        return str(error)
    except ExchangeUnavailable:
        return None
    return None
