"""The part of ./bot that runs before the project's packages are installed: standard library only."""
