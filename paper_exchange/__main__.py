"""./bot exchange: runs the local paper exchange by itself."""

import argparse
import asyncio
import json
import signal
import sys
from decimal import Decimal
from pathlib import Path

from paper_exchange.replay import BadFile
from paper_exchange.server import Options, Server
from paper_exchange.site import Site

HELP = """\
A paper exchange for crypto is running on this machine.

  trading REST    {trading}
  trade updates   {trading_stream}
  data REST       {data}
  data stream     {data_stream}
  admin           {admin}
  key id          {key_id}
  secret key      {secret_key}

For the bot's .env (the keys are new at every start):
  APCA_API_BASE_URL="{trading}"
  APCA_API_KEY_ID="{key_id}"
  APCA_API_SECRET_KEY="{secret_key}"

With alpaca-py:
  TradingClient(key_id, secret_key, url_override="{trading}")
  TradingStream(key_id, secret_key, url_override="{trading_stream}")
  CryptoDataStream(key_id, secret_key, url_override="{data_stream}")
  CryptoHistoricalDataClient(key_id, secret_key, url_override="{data}")

Ctrl-C ends it.
"""


def options_of(arguments: list[str] | None = None) -> tuple[Options, bool]:
    parser = argparse.ArgumentParser(
        prog="./bot exchange", description="A local Alpaca for crypto paper trading."
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line with URLs and keys first")
    parser.add_argument("--seed", type=int, default=1, help="of prices and partial fills")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--cash", type=Decimal, default=Decimal(100_000), help="dollars to begin with")
    parser.add_argument("--market", choices=("walk", "still", "replay"), default="walk")
    parser.add_argument("--volatility", type=float, default=0.02, help="percent per square root of a second")
    parser.add_argument("--ticks-per-second", type=float, default=4.0)
    parser.add_argument("--replay", type=Path, help="a recording to play (docs/recordings.md)")
    parser.add_argument("--symbol", default="BTC/USD", help="the pair that the file is of")
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds per second")
    parser.add_argument("--paused", action="store_true", help="wait for the admin's /market/start")
    parser.add_argument("--fee-delay", type=float, default=5.0, help="seconds until a fee's row appears")
    parser.add_argument("--partial-percent", type=int, default=10, help="how many fills are partial")
    parser.add_argument("--rate-limit", type=int, default=200, help="requests a minute; 0: none")
    parser.add_argument("--pairs", type=int, default=0, help="at least so many, some made up")
    parser.add_argument(
        "--depth",
        metavar="HOW",
        help="of the order book: seeded, a file of recorded books, or none: any size at the best price "
        "(seeded; none with --market still)",
    )
    given = parser.parse_args(arguments)
    if given.market == "replay" and given.replay is None:
        parser.error("--market replay needs --replay FILE")
    if given.speed <= 0 or given.ticks_per_second <= 0:
        parser.error("--speed and --ticks-per-second must be above 0")
    return (
        Options(
            seed=given.seed,
            port=given.port,
            cash=given.cash,
            market="replay" if given.replay else given.market,
            volatility_percent=given.volatility,
            ticks_per_second=given.ticks_per_second,
            replay=given.replay,
            symbol=given.symbol.upper(),
            speed=given.speed,
            paused=given.paused,
            fee_delay_seconds=given.fee_delay,
            partial_percent=given.partial_percent,
            rate_limit_per_minute=given.rate_limit,
            pairs=given.pairs,
            depth=given.depth or ("none" if given.market == "still" else "seeded"),
        ),
        given.json,
    )


def _say(line: str) -> None:
    print(f"exchange: {line}", file=sys.stderr, flush=True)


async def serve(options: Options, as_json: bool) -> None:
    server = Server(options, tell=_say)
    site = Site(server)
    await site.open()
    print(json.dumps(site.urls) if as_json else HELP.format(**site.urls), flush=True)
    for line in server.introduction:
        _say(line)
    running = asyncio.create_task(server.run())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    running.cancel()
    for task in done:
        if task is running:
            task.result()


def main() -> int:
    options, as_json = options_of()
    try:
        asyncio.run(serve(options, as_json))
    except BadFile as error:
        print(f"exchange: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"exchange: cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
