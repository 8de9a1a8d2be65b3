"""./bot install, uninstall."""

from dca.operator.tools import Command

COMMANDS: dict[str, Command] = {}
