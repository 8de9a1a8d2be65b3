"""The bot: reacts to quotes and order updates until it is asked to stop. Settings come from .env."""

import argparse
import sys

from dca.runtime.venv import needed

with needed():
    from dca.runtime import script
    from dca.trading.application import Application


def main(context: script.Context) -> None:
    Application(context).run()


if __name__ == "__main__":
    argparse.ArgumentParser(prog="main_app.py", description=__doc__).parse_args()
    sys.exit(script.run("main_app", main))
