"""What ./bot demo can be told."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_ASSETS = ("BTC/USD", "ETH/USD", "SOL/USD")
DEFAULT_CYCLES = 5
SHORT_CYCLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`speed`: market seconds per second of a replay; None: chosen from the file's own movement."""

    assets: tuple[str, ...] = DEFAULT_ASSETS
    cycles: int = DEFAULT_CYCLES
    seed: int = 1
    replay: Path | None = None
    speed: float | None = None
    export: Path | None = None
    short: bool = False
    keep_database: bool = False
    kills: int = 0


def parse(arguments: Sequence[str]) -> Options:
    """Options from the command line; a mistake ends the program with a line and exit code 2."""
    parser = _parser()
    given = parser.parse_args(arguments)
    assets = tuple(dict.fromkeys(part.strip().upper() for part in given.assets.split(",") if part.strip()))
    if given.replay is not None:
        assets = (given.symbol.upper(),)
        if not given.replay.is_file():
            parser.error(f"--replay {given.replay}: there is no such file")
    elif given.speed is not None:
        parser.error("--speed needs --replay FILE")
    if not assets or any(asset.count("/") != 1 or not all(asset.split("/")) for asset in assets):
        parser.error(f"an asset is a pair like BTC/USD, not {', '.join(assets) or 'nothing'}")
    if given.speed is not None and not given.speed > 0:
        parser.error("--speed must be above 0")
    cycles = given.cycles or (SHORT_CYCLES if given.short else DEFAULT_CYCLES)
    if cycles < 1 or given.kill_main_app < 0:
        parser.error("--cycles must be at least 1, and --kill-main-app at least 0")
    return Options(
        assets=assets,
        cycles=cycles,
        seed=given.seed,
        replay=given.replay.resolve() if given.replay is not None else None,
        speed=given.speed,
        export=given.export.resolve() if given.export is not None else None,
        short=given.short,
        keep_database=given.keep_database,
        kills=given.kill_main_app,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bot demo",
        description="The real bot trades on a local paper exchange until cycles are complete; then both "
        "books are audited. Exit code 0: no violations; 1: some, or it was cut short; 130: Ctrl-C.",
    )
    add = parser.add_argument
    add("--assets", default=",".join(DEFAULT_ASSETS), metavar="A,B", help="pairs to trade (%(default)s)")
    add("--cycles", type=int, metavar="N", help=f"end after this many cycles ({DEFAULT_CYCLES})")
    add("--seed", type=int, default=1, help="of the made-up prices (%(default)s)")
    add("--replay", type=Path, metavar="FILE", help="trade on recorded bars, quotes or books")
    add("--symbol", default="BTC/USD", help="the pair that the file is traded as (%(default)s)")
    add("--speed", type=float, metavar="N", help="market seconds per second (chosen from the file)")
    add("--export", type=Path, metavar="DIR", help="leave both books there as JSON lines")
    add(
        "--short",
        action="store_true",
        help=f"half a minute, {SHORT_CYCLES} cycles, nothing special: for ./bot test",
    )
    add("--kill-main-app", type=int, default=0, metavar="N", help="kill -9 the bot N times on the way")
    add("--keep-database", action="store_true", help="do not drop the run's database at the end")
    return parser
