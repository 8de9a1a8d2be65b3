"""./bot cycles, orders, profit, export."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
