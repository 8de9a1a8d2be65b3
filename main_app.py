"""The bot: reacts to quotes and order updates until it is asked to stop. Settings come from .env."""

import argparse
import sys

from dca.venv import needed

with needed():
    from dca import runtime
    from dca.application import Application


def main(context: runtime.Context) -> None:
    Application(context).run()


if __name__ == "__main__":
    argparse.ArgumentParser(prog="main_app.py", description=__doc__).parse_args()
    sys.exit(runtime.run("main_app", main))
