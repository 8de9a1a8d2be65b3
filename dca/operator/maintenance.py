"""./bot stop, start."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
