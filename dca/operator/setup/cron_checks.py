"""What doctor concludes from the crontab, and from whether cron runs."""

from collections.abc import Iterator
from datetime import datetime

from dca.operator.setup import crontab
from dca.operator.setup.doctor_checks import Line, fail, ok, warn
from dca.operator.views import staleness
from dca.operator.views.snapshot import Books


def of_crontab(content: bytes, place: crontab.Place) -> Iterator[Line]:
    """Our block, or lines of the operator's own that start the same scripts; and lines that start nothing.

    Raises:
        StartRefused: the block's marks are not a pair.
    """
    yield _of_our_lines(content, place)
    for folder in set(crontab.gone(content)) - {place.root}:
        remedy = "if it is this one under its old name: ./bot install, which takes those lines out"
        yield warn("crontab", f"it starts scripts of {folder}, which are gone", remedy)


def _of_our_lines(content: bytes, place: crontab.Place) -> Line:
    wanted = crontab.block(place)
    if crontab.without_block(content, place.root) != content:
        if crontab.with_block(content, place.root, wanted) == content:
            return ok("crontab", "the block is there, as ./bot install writes it")
        return warn("crontab", "the block is there, but differs from ./bot install's", "./bot install")
    scripts = dict.fromkeys(name for _, name in crontab.JOBS)
    mine = {path.stem for path in crontab.started(content) if path.parent == place.root}
    missing = [name for name in scripts if name not in mine]
    if not missing:
        return ok("crontab", "lines of your own start every caretaker")
    which = "nothing of ours is in it" if len(missing) == len(scripts) else f"missing: {', '.join(missing)}"
    return warn("crontab", which, "./bot install writes the block (or see crontab.example)")


def of_cron(runs: bool | None, books: Books | None, now: datetime) -> Line:
    """The daemon. Caretakers may also be started by something else, and then nothing is wrong."""
    if runs is not False:
        return ok("cron", "the daemon runs" if runs else "its daemon cannot be seen from here")
    if books is not None and not any(each.is_overdue for each in staleness.caretakers(books, now)):
        return ok("cron", "no daemon runs here, and the caretakers are started all the same")
    what, _, remedy = crontab.NO_DAEMON.partition(": ")
    never = books is None or not books.last_runs
    return (warn if never else fail)("cron", what, remedy)
