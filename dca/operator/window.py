"""Screens that are made for the height of the terminal as well."""

from collections.abc import Callable, Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dca.operator import formatting


def chosen(
    console: Console, forms: Sequence[Table], whole: Callable[[Table], RenderableType], height: int | None
) -> Table:
    """The first form of a table that is narrow enough and with which the `whole` screen is not too high; with
    which it is not too wide, if it is too high with each (or `height` is None)."""
    narrow = [each for each in forms if formatting.fits(console, each)] or [forms[-1]]
    if height is None:
        return narrow[0]
    low = (each for each in narrow if _height(console, whole(each)) <= height)
    return next(low, narrow[-1])


def _height(console: Console, screen: RenderableType) -> int:
    return len(console.render_lines(screen, pad=False))


class Cut:
    """A screen without the lines that the window has no room for; its last part stays if that is one line."""

    def __init__(self, screen: RenderableType, *, instead: str) -> None:
        self._screen = screen
        self._instead = instead

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._screen, options.update(height=None), pad=False)
        height = options.height or console.height
        if len(lines) > height:
            last = self._last_line(console)
            kept = lines[: max(0, height - 1 - len(last))]
            missing = len(lines) - len(kept) - len(last)
            note = Text(f"... {missing} more lines: {self._instead}", no_wrap=True, overflow="ellipsis")
            lines = [*kept, *console.render_lines(note, pad=False), *last]
        for number, line in enumerate(lines):
            if number:
                yield Segment.line()
            yield from line

    def _last_line(self, console: Console) -> list[list[Segment]]:
        last = self._screen.renderables[-1] if isinstance(self._screen, Group) else ""
        lines = console.render_lines(last, pad=False)
        return lines if len(lines) == 1 else []
