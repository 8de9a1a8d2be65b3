"""The programs that are measured, as processes of their own: main_app.py, and the floor."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.orders_exchange import Exchange
from dca.runtime.settings import DatabaseSettings
from demo.processes import minimal_environment
from launcher.commands import spawn
from launcher.output import ROOT, SetUpProblem, tail

_PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def main_app(
    env: Mapping[str, str], exchange: Exchange, probe: Path | None = None
) -> AsyncIterator[int]:
    """main_app.py, as cron's wrapper starts it, from the moment it trades; gives its pid. With `probe` it
    runs under bench.orders_probe and ends in good order."""
    folder = Path(env["DCA_ENV_FILE"]).parent
    log, heartbeat = folder / "logs" / "main_app.log", folder / "state" / "main_app.heartbeat.json"
    log.parent.mkdir()
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")

    def trades() -> bool:
        beat = json.loads(heartbeat.read_text()) if heartbeat.exists() else {}
        return exchange.subscribed == set(exchange.prices) and (beat.get("last_settle_at") or "") > started_at

    command = (
        [str(ROOT / "main_app.py")] if probe is None else ["-m", "bench.orders_probe", str(probe), "main_app"]
    )
    async with _running(command, env, log, trades, politely=probe is not None) as pid:
        yield pid


@asynccontextmanager
async def floor(
    database: DatabaseSettings, exchange: Exchange, folder: Path, probe: Path | None = None
) -> AsyncIterator[int]:
    """The floor, from the moment it trades; gives its pid. `probe`: as above."""
    told = folder / f"{database.name}.json"
    told.touch(mode=0o600)
    told.write_text(json.dumps({"urls": exchange.urls, "database": asdict(database)}), encoding="utf-8")
    watched = ["-m", "bench.orders_probe", str(probe), "floor", str(told)]
    command = ["-m", "bench.orders_floor", str(told)] if probe is None else watched

    def trades() -> bool:
        return exchange.subscribed == set(exchange.prices)

    log = folder / "floor.out"
    async with _running(command, minimal_environment(), log, trades, politely=probe is not None) as pid:
        yield pid


@asynccontextmanager
async def _running(
    command: list[str],
    env: Mapping[str, str],
    log: Path,
    is_up: Callable[[], bool],
    *,
    politely: bool = False,
) -> AsyncIterator[int]:
    with log.open("ab") as output:
        process = spawn([sys.executable, *command], output=output, env=env, cwd=ROOT, own_session=True)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SetUpProblem(f"{command[-1][:40]} does not come up; {log} ends:\n{tail(log)}")
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # its start has more to do than what is seen from here
        yield process.pid
    finally:
        if politely and process.poll() is None:
            process.terminate()
            await asyncio.to_thread(process.wait, _PATIENCE_SECONDS)
        process.kill()  # its end is not what is measured
        process.wait()
