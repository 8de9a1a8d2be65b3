"""Why a run does not begin, and why a scenario does not pass."""


class Refused(Exception):
    """The test must not run as things are; nothing was changed. The message says what to do."""


class Failed(Exception):
    """A scenario did not see what it expects."""


class NotHere(Exception):
    """A scenario cannot be played in this place; the message says why."""
