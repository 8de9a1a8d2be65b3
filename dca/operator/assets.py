"""./bot assets, add, set, enable, disable."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
