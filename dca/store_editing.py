"""The part of store.Transaction with which the operator's commands change what the operator may change."""

from dca.model import Mode
from dca.store_statements import Statements


class Editing(Statements):
    """Statements that only ./bot's commands and the watchdog run."""

    def set_mode(self, mode: Mode, reason: str) -> None:
        """Turn the kill switch."""
        self._write("UPDATE dca_control SET mode = %s, mode_reason = %s", [mode, reason[:300]])
