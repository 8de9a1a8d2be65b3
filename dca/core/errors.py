"""What can go wrong, sorted by what the caller does about it.

    DcaError
    +-- SettingsProblem      tell the operator everything that is wrong, exit 2
    +-- StartRefused         one line with what to do, exit 1; main_app waits, for most of it can heal
    |   +-- KeysRefused
    |   +-- OtherSchema
    +-- Unavailable          skip now, try again at the next event; nothing is known, nothing changed
    |   +-- ExchangeUnavailable
    |   |   +-- RequestRefused   answered, with a definite no: bad keys, bad request
    |   |   +-- RateLimited      not asked: too many requests
    |   +-- DatabaseUnavailable
    |   +-- RowGone              read before, and not there any more: look again
    +-- LostRace             somebody else was first: look again, do nothing
    +-- AssetProblem         stop this asset, trade the others
    +-- OurBug               crash, restart, settle: the state is not what this program can produce
        +-- IllegalTransition
        +-- BrokenRule

A refusal or an unknown outcome of an order is no error but an answer: model.SubmitOutcome.
"""


class DcaError(Exception):
    """Everything this program raises on purpose."""


class SettingsProblem(DcaError):
    """The settings make no sense; `problems` lists every one of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class StartRefused(DcaError):
    """This program must not trade as things are; the message says what to do."""


class KeysRefused(StartRefused):
    """The exchange does not accept the keys."""


class OtherSchema(StartRefused):
    """The tables are not of this program's version."""


class Unavailable(DcaError):
    """Something we need does not answer. Not a no, and not an empty answer."""


class ExchangeUnavailable(Unavailable):
    """The exchange did not answer, or not in a way that can be understood."""


class RequestRefused(ExchangeUnavailable):
    """The exchange refused a read: `status` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status


class RateLimited(ExchangeUnavailable):
    """A request was not sent: it would have been one too many (pace.py). Nothing has happened."""


class DatabaseUnavailable(Unavailable):
    """The database did not answer; a transaction's outcome may be unknown."""


class RowGone(Unavailable):
    """A row that was read before is not there any more: a backup was restored, or a person deleted it."""


class LostRace(DcaError):
    """A unique row of the database was taken by somebody else."""


class AssetProblem(DcaError):
    """This asset cannot be traded as things are; the message says which column and why."""


class OurBug(DcaError):
    """A state that correct code cannot reach."""


class IllegalTransition(OurBug):
    """A cycle was asked to make a move that the table does not know."""


class BrokenRule(OurBug):
    """A cycle about to be written breaks a rule of Cycle.violations()."""
