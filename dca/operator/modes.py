"""./bot pause, resume."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
