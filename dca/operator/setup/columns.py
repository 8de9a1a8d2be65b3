"""The columns that sql/schema.sql makes, for comparing with those that are there."""

import re

from dca.runtime.settings import ROOT

_STATEMENT = re.compile(r"^(CREATE|ALTER) TABLE (?:IF NOT EXISTS )?(\w+)(.*?);$", re.MULTILINE | re.DOTALL)
_CREATED = re.compile(r"^    ([a-z]\w*) [A-Z]", re.MULTILINE)
_ADDED = re.compile(r"^    ADD COLUMN (\w+) ", re.MULTILINE)
_DROPPED = re.compile(r"^    DROP COLUMN (\w+)", re.MULTILINE)


def wanted() -> set[str]:
    """table.column, of all tables."""
    found: set[str] = set()
    for verb, table, inside in _STATEMENT.findall((ROOT / "sql" / "schema.sql").read_text(encoding="utf-8")):
        made = _CREATED if verb == "CREATE" else _ADDED
        found |= {f"{table}.{column}" for column in made.findall(inside)}
        found -= {f"{table}.{column}" for column in _DROPPED.findall(inside)}
    return found
