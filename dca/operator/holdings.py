"""./bot sell, adopt, accept."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
