"""./bot why."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
