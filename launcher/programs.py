"""What a database server of our own is run with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """How the server, what makes its data directory, and the client are called: words of a command, to which
    options are added. Neither reads a file of options."""

    server: tuple[str, ...]
    installer: tuple[str, ...]
    client: tuple[str, ...]
    is_mysql: bool = False
