"""Cron, every minute: cancels buys that stayed open too long, market sells that are stuck, and orphans."""

from dca.runtime.venv import needed

with needed():
    from dca.caretakers import job
    from dca.caretakers.job import Job
    from dca.core import ledger, order_cleanup
    from dca.core.errors import RateLimited, Unavailable
    from dca.core.interfaces import Transaction
    from dca.core.model import Control, Order, Snapshot
    from dca.exchange import account_checks
    from dca.runtime import script
    from dca.runtime.log_lines import Troubles, fact
    from dca.trading.trader import Trader
    from dca.trading.watchlist import Desk
    from dca.trading.worker import limits_of


def main(job: Job) -> None:
    settings, now = job.settings, job.clock.now()
    listed = job.broker.open_orders()  # before the ledger: see caretaking.strangers

    def read(tx: Transaction) -> tuple[Control, list[Order], set[str]]:
        return tx.control(), tx.open_orders(), tx.known_ids([each.client_order_id for each in listed])

    control, orders, known = job.store.transaction(read)
    stale = order_cleanup.stale_buys(orders, now, settings.stale_order_limit)
    stuck = order_cleanup.stuck_sells(orders, now, settings.stuck_sell_limit)
    unknown = order_cleanup.strangers(listed, ledger.id_prefix(control.install_id), known)
    strange = [*unknown.orphans, *(unknown.foreign if settings.cancel_foreign_orders else ())]

    job.checked = len(orders) + len(unknown.orphans) + len(unknown.foreign)
    if unknown.foreign:
        job.notes.append(f"{len(unknown.foreign)} open orders of the account are not ours")
    if not (stale or stuck or strange):
        return
    account_checks.check_binding(control, job.broker.account(), settings.database.name)
    desk = Desk(control.install_id, control.epoch)
    trader = Trader(job.store, job.broker, desk, job.clock, Troubles(), limits_of(settings))
    try:
        for order in [*stuck, *stale]:
            limit = settings.stale_order_limit if order in stale else settings.stuck_sell_limit
            _cancel(job, trader, order, f"open for more than {limit.total_seconds():g} s")
        for snapshot in strange:
            _cancel_stranger(job, snapshot, "orphan" if snapshot in unknown.orphans else "foreign order")
    except RateLimited as error:
        job.notes.append(f"the rest waits for the next run: {error}")


def _cancel(job: Job, trader: Trader, order: Order, why: str) -> None:
    """Ask for it to be canceled, then what became of it: only its end frees the cycle (F09)."""

    def work() -> None:
        trader.cancel(order, why)
        trader.settle(order)

    try:
        job.act(f"cancel {order.client_order_id}: {why}", order.symbol, work)
    except RateLimited:
        raise
    except Unavailable as error:  # the others may be luckier; the next run tries this one again
        job.failed(f"not canceled {order.client_order_id}", str(error), order.symbol)


def _cancel_stranger(job: Job, snapshot: Snapshot, what: str) -> None:
    def work() -> None:
        job.broker.cancel(snapshot.exchange_order_id)
        found = job.broker.order(snapshot.client_order_id)
        status = "unknown" if found is None else found.status
        fact("order", f"canceled {what} {snapshot.client_order_id}", symbol=snapshot.symbol, now=status)

    try:
        job.act(f"cancel {what} {snapshot.client_order_id}", snapshot.symbol, work)
    except RateLimited:
        raise
    except Unavailable as error:
        job.failed(f"{what} not canceled {snapshot.client_order_id}", str(error), snapshot.symbol)


if __name__ == "__main__":
    script.leave(job.run("order_manager", main, __doc__))
