"""Cron, every minute: ends cooldowns whose time is up, also while main_app is down. Needs no exchange."""

import sys

from dca import caretaking, job, lifecycle
from dca.job import Job
from dca.logs import fact
from dca.model import Asset, Cycle
from dca.ports import Transaction


def main(job: Job) -> None:
    assets, cycles = job.store.transaction(lambda tx: (tx.assets(), tx.live_cycles()))
    by_id = {asset.id: asset for asset in assets}

    for cycle in cycles:
        asset = by_id[cycle.asset_id]
        job.checked += 1
        reason = caretaking.cooldown_is_over(asset, cycle, job.clock.now())
        if reason is not None:
            _end(job, asset, cycle, reason)


def _end(job: Job, asset: Asset, seen: Cycle, reason: str) -> None:
    def work(tx: Transaction) -> bool:
        cycle = tx.cycle(seen.id)
        if caretaking.cooldown_is_over(asset, cycle, job.clock.now()) is None:
            return False  # main_app was first
        tx.update_cycle(lifecycle.cooldown_over(cycle, tx.orders(cycle.id)))
        return True

    def act() -> bool:
        ended = job.store.transaction(work)
        if ended:
            fact("cycle", "cooldown over", symbol=asset.asset_symbol, cycle=seen.id, why=reason)
        return ended

    job.act(f"end the cooldown: {reason}", asset.asset_symbol, act)


if __name__ == "__main__":
    sys.exit(job.run("cooldown_manager", main, __doc__))
