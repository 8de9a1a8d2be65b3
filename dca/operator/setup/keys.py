"""Keys that the exchange refuses are asked for again, while somebody is there to answer."""

from collections.abc import Mapping
from functools import partial

import dca.runtime.settings
from dca.core.errors import ExchangeUnavailable, KeysRefused
from dca.exchange import account_checks
from dca.exchange.request_budget import Pace, others
from dca.exchange.rest_client import Broker
from dca.operator import formatting
from dca.operator.session import Tools
from dca.operator.setup import env_questions
from dca.operator.setup.env_questions import Ask

KEEPS = "Enter keeps what stands in [brackets]."


def asked_until_good(values: Mapping[str, str], tools: Tools, ask: Ask) -> Mapping[str, str]:
    """The values with keys that the exchange takes, or with refused ones that somebody wants to keep. An
    exchange that does not answer has refused nothing."""
    while (refusal := _refusal(values, tools)) is not None:
        formatting.tell(tools.console, f"{refusal}. {KEEPS}")
        again = env_questions.keys_asked_again(values, ask, partial(formatting.tell, tools.console))
        if again == values:
            break
        values = again
    return values


def _refusal(values: Mapping[str, str], tools: Tools) -> str | None:
    settings = dca.runtime.settings.parse(values, env_file_mode=env_questions.PRIVATE)
    broker = Broker(settings.exchange, Pace(tools.clock, others(settings.requests_per_minute)))
    try:
        account_checks.read_account(broker, settings.exchange)
    except KeysRefused as error:
        return str(error)
    except ExchangeUnavailable:
        return None
    return None
