"""A file's lines of text, whatever it is packed and encoded in."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from recordings.values import BadFile

LONGEST_LINE = 65_536
"""Characters. A file without lines must not be read into memory whole."""
BROKEN = (OSError, EOFError, zlib.error)
"""What reading a damaged file raises (a gzip file that is cut off: EOFError)."""

_GZIP = b"\x1f\x8b"
_OTHERS = {
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or export it as CSV",
    b"BZh": "packed by bzip2: unpack it, or pack it by gzip",
    b"\xfd7zXZ": "packed by xz: unpack it, or pack it by gzip",
    b"\x28\xb5\x2f\xfd": "packed by zstd: unpack it, or pack it by gzip",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"PAR1": "a Parquet file: export it as CSV",
    b"%PDF": "a PDF file",
}


@contextmanager
def opened(path: Path) -> Iterator[Iterator[tuple[int, str]]]:
    """The lines of a file with their numbers, without line ends, blank ones left out.

    Raises:
        BadFile: it cannot be opened, or is packed in a way that is not read here.
        OSError, EOFError, zlib.error: while reading, where the file is damaged.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    with raw, io.BufferedReader(cast("io.RawIOBase", _unpacked(path, raw))) as data:
        head = data.peek(64)[:64]
        with io.TextIOWrapper(data, encoding=_encoding(head), errors="replace", newline=None) as text:
            yield _lines(text)


def _unpacked(path: Path, raw: IO[bytes]) -> IO[bytes]:
    head = raw.read(8)
    raw.seek(0)
    for magic, what in _OTHERS.items():
        if head.startswith(magic):
            raise BadFile(f"{path}: is {what}")
    return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if head.startswith(_GZIP) else raw


def _encoding(head: bytes) -> str:
    """By the byte order mark; without one, by where the zero bytes of plain digits and letters lie."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = [place % 2 for place, byte in enumerate(head) if byte == 0]
    if len(zeros) > len(head) // 4 and len(set(zeros)) == 1:
        return "utf-16-le" if zeros[0] else "utf-16-be"
    return "utf-8-sig"


def _lines(text: IO[str]) -> Iterator[tuple[int, str]]:
    number = 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        if len(line) == LONGEST_LINE and not line.endswith("\n"):
            raise EOFError(f"line {number} has more than {LONGEST_LINE} characters")
        if stripped := line.strip():
            yield number, stripped
