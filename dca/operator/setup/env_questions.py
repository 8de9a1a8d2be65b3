"""What .env lacks, and asking for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dca.runtime.settings
from dca.core.errors import SettingsProblem

PRIVATE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`default` is offered where .env has nothing; a secret is neither shown nor echoed."""

    name: str
    text: str
    default: str = ""
    secret: bool = False


MAIN = (
    Question(
        name="APCA_API_BASE_URL",
        text="Alpaca's address (https://api.alpaca.markets is real money)",
        default="https://paper-api.alpaca.markets",
    ),
    Question(name="ALLOW_LIVE_TRADING", text="Trade real money (yes or no)", default="no"),
    Question(name="APCA_API_KEY_ID", text="Alpaca key id", secret=True),
    Question(name="APCA_API_SECRET_KEY", text="Alpaca secret key", secret=True),
    Question(name="DB_HOST", text="Database host", default="localhost"),
    Question(name="DB_PORT", text="Database port", default="3306"),
    Question(name="DB_NAME", text="Database name", default="dca_bot_db"),
    Question(name="DB_USER", text="Database user", default="dca"),
    Question(name="DB_PASSWORD", text="Database password", secret=True),
)
MAIL = (
    Question(name="ALERT_EMAIL_SMTP_SERVER", text="SMTP server (empty: no mail)"),
    Question(name="ALERT_EMAIL_SMTP_PORT", text="SMTP port", default="587"),
    Question(name="ALERT_EMAIL_SMTP_USER", text="SMTP user (empty: no login)"),
    Question(name="ALERT_EMAIL_SMTP_PASSWORD", text="SMTP password (empty: no login)", secret=True),
    Question(name="ALERT_EMAIL_SENDER", text="Sender"),
    Question(name="ALERT_EMAIL_RECEIVER", text="Receiver"),
)
_ORDER = {question.name: place for place, question in enumerate((*MAIN, *MAIL))}

Ask = Callable[[Question, str], str]
"""Puts a question, with what is taken if the answer is empty; returns the answer, stripped."""


def problems_of(values: Mapping[str, str]) -> list[str]:
    """Everything that is wrong with the values, as dca.runtime.settings says it; each begins with a name."""
    try:
        dca.runtime.settings.parse(values, env_file_mode=PRIVATE)
    except SettingsProblem as error:
        return error.problems
    return []


def names_to_ask(values: Mapping[str, str]) -> list[str]:
    """The names that are missing or wrong, in the order of the questions; others come last."""
    names = dict.fromkeys(problem.split()[0] for problem in problems_of(values))
    return sorted(names, key=lambda name: _ORDER.get(name, len(_ORDER)))


def without_examples(values: Mapping[str, str]) -> dict[str, str]:
    """The values that are somebody's own, and not those of .env.example, nor empty."""
    return {name: value for name, value in values.items() if value and not value.upper().startswith("YOUR_")}


def asked(values: Mapping[str, str], ask: Ask, say: Callable[[str], None]) -> dict[str, str]:
    """Values without a problem in what there are questions about; empty answers keep what there is."""
    given = dict(values)
    for question in MAIN:
        if _applies(question, given):
            given = _answered(question, given, ask, say)
    if not any(question.name in given for question in MAIL):
        mail = _answered(MAIL[0], {}, ask, say)
        if mail:
            given |= mail
    if MAIL[0].name in given:
        for question in MAIL[1:]:
            given = _answered(question, given, ask, say)
    return given


def keys_asked_again(values: Mapping[str, str], ask: Ask, say: Callable[[str], None]) -> dict[str, str]:
    """The values with other keys, or the same ones where the answers are empty."""
    given = dict(values)
    for question in MAIN:
        if question.name in {"APCA_API_KEY_ID", "APCA_API_SECRET_KEY"}:
            given = _answered(question, given, ask, say)
    return given


def _applies(question: Question, values: Mapping[str, str]) -> bool:
    if question.name == "ALLOW_LIVE_TRADING":
        return any("ALLOW_LIVE_TRADING" in problem for problem in problems_of(values))
    return not (values.get("DB_SOCKET") and question.name in {"DB_HOST", "DB_PORT"})


def _answered(
    question: Question, values: Mapping[str, str], ask: Ask, say: Callable[[str], None]
) -> dict[str, str]:
    """The values with an answer in them that the settings' rules take."""
    while True:
        kept = values.get(question.name) or question.default
        answer = ask(question, kept) or kept
        trial = {**values, question.name: answer} if answer else dict(values)
        complaints = [each for each in problems_of(trial) if each.split()[0] == question.name]
        if question.name == "APCA_API_BASE_URL":  # whether real money is allowed is asked next
            complaints = [each for each in complaints if "ALLOW_LIVE_TRADING" not in each]
        if question.name == "ALLOW_LIVE_TRADING":
            complaints += [each for each in problems_of(trial) if "ALLOW_LIVE_TRADING is not yes" in each]
        if not complaints or (question in MAIL and not answer and question.name not in _NEEDED):
            return trial
        for complaint in complaints:
            say(f"  {complaint}")


_NEEDED = {"ALERT_EMAIL_SENDER", "ALERT_EMAIL_RECEIVER"}
