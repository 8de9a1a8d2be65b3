"""Cron, every minute: cancels buys that stayed open longer than STALE_ORDER_MINUTES."""

import sys

from dca import caretaking, runtime, start_checks
from dca.broker import Broker
from dca.clock import SystemClock
from dca.desk import Desk
from dca.errors import Unavailable
from dca.logs import Troubles, fact, warn
from dca.store import Store
from dca.trader import Trader
from dca.worker import limits_of


def main(context: runtime.Context) -> None:
    settings, clock = context.settings, SystemClock()
    started = clock.monotonic()
    with Store(settings.database) as store:
        store.check_schema()
        control = store.transaction(lambda tx: tx.control())
        orders = store.transaction(lambda tx: tx.open_orders())

        stale = caretaking.stale_buys(orders, clock.now(), settings.stale_order_limit)

        desk = Desk(control.install_id, control.epoch)
        broker = Broker(settings.exchange)
        if stale:
            start_checks.check_binding(control, broker.account(), settings.database.name)
        trader = Trader(store, broker, desk, clock, Troubles(), limits_of(settings))
        minutes = settings.stale_order_limit.total_seconds() / 60
        for order in stale:
            try:
                trader.cancel(order, f"open for more than {minutes:g} minutes")
                trader.settle(order)
            except Unavailable as error:  # the others may be luckier; the next run tries this one again
                warn("order", "not canceled", symbol=order.symbol, cycle=order.cycle_id, why=str(error))
                context.failed = True
    if stale:
        seconds = f"{clock.monotonic() - started:.2f}"
        fact("run", "order_manager", checked=len(orders), canceled=len(stale), seconds=seconds)


if __name__ == "__main__":
    sys.exit(runtime.run("order_manager", main))
