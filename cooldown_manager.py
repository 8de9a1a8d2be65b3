"""Cron, every minute: ends cooldowns whose time is up, also while main_app is down. Needs no exchange."""

from dca.runtime.venv import needed

with needed():
    from dca.caretakers import job
    from dca.caretakers.job import Job
    from dca.core import lifecycle, order_cleanup
    from dca.core.interfaces import Transaction
    from dca.core.model import Asset, Cycle, CycleStatus
    from dca.runtime import script
    from dca.runtime.log_lines import fact


def main(job: Job) -> None:
    cycles, assets = job.store.transaction(_read)
    job.checked = len(cycles)
    for cycle in cycles:
        asset = assets.get(cycle.asset_id)
        if asset is None:
            continue  # it does not rest
        reason = order_cleanup.cooldown_is_over(asset, cycle, job.clock.now())
        if reason is not None:
            _end(job, asset, cycle, reason)


def _read(tx: Transaction) -> tuple[list[Cycle], dict[int, Asset]]:
    """The live cycles, and the assets of those that rest; most of the time there is none."""
    cycles = tx.live_cycles()
    resting = {cycle.asset_id for cycle in cycles if cycle.status is CycleStatus.COOLDOWN}
    return cycles, {asset.id: asset for asset in tx.assets() if asset.id in resting} if resting else {}


def _end(job: Job, asset: Asset, seen: Cycle, reason: str) -> None:
    def work(tx: Transaction) -> bool:
        cycle = tx.cycle(seen.id)
        if order_cleanup.cooldown_is_over(asset, cycle, job.clock.now()) is None:
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
    script.leave(job.run("cooldown_manager", main, __doc__))
