"""What ./bot does before the project's own packages are there: standard library only."""
