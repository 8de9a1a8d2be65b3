"""What ends a demo early."""


class DemoProblem(Exception):
    """Something the demo needs does not work; the text is the line to show."""


class Interrupted(Exception):
    """Ctrl-C, or a request to end."""
