"""The bot: reacts to quotes and order updates until it is asked to stop. Settings come from .env."""

import sys

from dca import runtime
from dca.application import Application


def main(context: runtime.Context) -> None:
    Application(context).run()


if __name__ == "__main__":
    sys.exit(runtime.run("main_app", main))
