"""Numbered scenarios against the paper account of .env, or with --local against an exchange of its own."""

import sys

from dca.runtime.venv import needed

with needed():
    from integration.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
