"""Writing .env: values go in, the person's own lines and comments stay as they are."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from dca.core.errors import StartRefused

_VALUE = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|(?:(?!\s+#)[^\r\n])*""", re.DOTALL)


def with_values(text: str, values: Mapping[str, str]) -> str:
    """The text of the file with these values in it: where the name stands already, or below the comment
    that shows it, or at the end.

    Raises:
        StartRefused: a value that the file cannot hold.
    """
    for name, value in values.items():
        if any(ord(letter) < 32 for letter in value):
            raise StartRefused(f"{name} has a control character in it, which .env cannot hold")
        text = _with_value(text, name, value)
    found = dotenv_values(stream=StringIO(text), interpolate=False)
    wrong = [name for name, value in values.items() if found.get(name) != value]
    if wrong:
        raise StartRefused(f".env would not be read back right: write {', '.join(wrong)} into it by hand")
    return text


def _with_value(text: str, name: str, value: str) -> str:
    originals = [(each.key, each.original.string) for each in parse_stream(StringIO(text, newline=""))]
    places = [index for index, (key, _) in enumerate(originals) if key == name]
    lines = [original for _, original in originals]
    if places:
        lines[places[-1]] = _replaced(lines[places[-1]], name, value)  # the last one counts
        return "".join(lines)
    line = f"{name}={quoted(value)}\n"
    shown = re.compile(rf"\s*# ?{name}=")
    for index, (key, original) in enumerate(originals):
        if key is None and shown.match(original):
            lines.insert(index + 1, line)
            if not original.endswith("\n"):
                lines[index] += "\n"
            return "".join(lines)
    text = "".join(lines)
    return text + ("" if not text or text.endswith("\n") else "\n") + line


def _replaced(line: str, name: str, value: str) -> str:
    """The line with another value; what stands before and behind it, a comment for one, stays."""
    head = re.match(rf"\s*(?:export\s+)?'?{name}'?[^\S\r\n]*(=[^\S\r\n]*)?", line)
    assert head is not None
    if head[1] is None:  # a name alone
        return f"{line.rstrip()}={quoted(value)}\n"
    old = _VALUE.match(line, head.end())
    assert old is not None
    rest = line[old.end() :]
    if old.end() == head.end() and rest.startswith("#"):
        rest = f" {rest}"
    return head[0] + quoted(value) + rest


def quoted(value: str) -> str:
    """As python-dotenv reads it back."""
    if '"' not in value and "\\" not in value:
        return f'"{value}"'
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def write(path: Path, text: str) -> None:
    """Replace the file at once, for nobody else to read.

    Raises:
        StartRefused: with what to do.
    """
    target = path.resolve()  # a link stays a link
    scratch = target.with_name(f"{target.name}.tmp")
    try:
        scratch.unlink(missing_ok=True)
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise StartRefused(f"{path} cannot be written: {error}") from error


def names_in(example: str) -> list[str]:
    """The names that a text like .env.example knows, also those that are commented out."""
    return re.findall(r"^(?:# ?)?([A-Z][A-Z_]+)=", example, re.M)
