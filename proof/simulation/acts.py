"""How each kind of step is done to the world."""

from collections.abc import Callable
from decimal import Decimal

from dca.core.model import Mode
from proof.simulation.exchange import OUTAGE, SLOW, UNSEEN
from proof.simulation.feed import BEHIND
from proof.simulation.plan import Args, Step
from proof.simulation.stores import DOWN
from proof.simulation.world import World

_OF_ENGINE = frozenset({"fill.partial", "fill.on_cancel", "fee.deferred", "fee.immediate"})
_LASTING_OF_ENGINE = frozenset({"fill.none", "positions.lag", "cancel.stuck"})


class Acts:
    """Does steps, and undoes what lasts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._undo: list[Callable[[], None]] = []
        self._special: dict[str, Callable[[str, Args], bool]] = {
            "rest.down": self._outage,
            "rest.slow": lambda _, args: self._unseen(SLOW, args),
            "md.behind": lambda _, args: self._unseen(BEHIND, args),
            "positions.empty": lambda _, args: self._unseen(UNSEEN, args),
            "positions.vanish": lambda symbol, args: self._unseen(f"{UNSEEN} {symbol}", args),
            "db.down": self._database_down,
            "asset.halt": self._halt,
            "ws.down": lambda _, args: self._streams("orders", args, deaf=False),
            "ws.deaf": lambda _, args: self._streams("orders", args, deaf=True),
            "md.down": lambda _, args: self._streams("quotes", args, deaf=False),
            "md.deaf": lambda _, args: self._streams("quotes", args, deaf=True),
            "crash.boundary": self._crash,
            "kill.main_app": lambda *_: self._kill(),
            "term.main_app": lambda *_: self._term(),
            "stop.main_app": self._stop,
            "second.main_app": lambda *_: self._second(),
            "clock.step": self._clock,
            "person.edits_asset": lambda symbol, a: world.person.edit_asset(symbol, a["column"], a["value"]),
            "person.edits_cycle": lambda symbol, a: world.person.edit_cycle(symbol, a["column"], a["value"]),
            "person.turns_switch": self._switch,
            "person.sells": lambda symbol, a: self._after_advance(
                world.person.sell(symbol, Decimal(a["share"]))
            ),
            "person.buys": lambda symbol, _: self._after_advance(world.person.buy(symbol, Decimal(25))),
            "person.bids": lambda symbol, _: self._after_advance(world.person.bid(symbol, Decimal(25))),
            "person.wants_out": lambda symbol, _: world.person.want_out(symbol, world.hub.now()),
            "market.jump": self._jump,
        }

    def doing(self, step: Step) -> Callable[[], None]:
        return lambda: self._do(step)

    def _do(self, step: Step) -> None:
        world, symbol = self._world, step.symbol or ""
        world.engine.advance(world.hub.now())
        if step.kind in self._special:
            if self._special[step.kind](symbol, step.args):
                world.weather.happened[step.kind] += 1
        elif step.kind in _OF_ENGINE or step.kind in _LASTING_OF_ENGINE:
            self._engine_fault(step)
        else:
            args = {name: value for name, value in step.args.items() if name != "count"}
            world.weather.arm(step.kind, int(step.args.get("count", 1)), step.symbol, **args)
            if step.kind == "submit.changed":
                self._look_in(symbol)

    def put_right(self) -> None:
        """Nothing goes wrong any more, and what a person did is undone."""
        world = self._world
        for undo in self._undo:
            undo()
        self._undo.clear()
        world.weather.clear()
        world.engine.faults.clear()
        world.person.withdraw()
        world.exchange.hidden_until.clear()
        world.step_clocks(0.0)
        for order in world.engine.open_orders():
            if order.status == "pending_cancel" and order.cancel_at is None:
                order.cancel_at = world.engine.now
        for main in world.mains:
            main.process.stopped_until = 0.0
            if main.feed is not None:
                main.feed.lose(main.feed.orders, 0.5)
                main.feed.lose(main.feed.quotes, 0.5)
        world.person.put_right()
        world.exchange.catch_up()

    # ---- exchange and streams ---------------------------------------------------------------------------

    def _after_advance(self, done: bool) -> bool:
        self._world.exchange.catch_up()
        return done

    def _engine_fault(self, step: Step) -> None:
        world, faults = self._world, self._world.engine.faults
        args = {"seconds": 2} if step.kind == "fee.deferred" else dict(step.args)
        if step.kind == "fill.partial":
            args = {}
        count = int(step.args.get("count", 1))
        fault = faults.add(step.kind, 1_000 if step.kind in _LASTING_OF_ENGINE else count, args, step.symbol)
        world.weather.happened[step.kind] += 1
        if step.kind in _LASTING_OF_ENGINE:
            world.hub.after(float(step.args["seconds"]), lambda: faults.remove(fault))

    def _outage(self, _: str, args: Args) -> bool:
        self._world.weather.last_until(OUTAGE, self._world.hub.seconds + float(args["seconds"]))
        return True

    def _unseen(self, which: str, args: Args) -> bool:
        self._world.weather.last_until(which, self._world.hub.seconds + float(args["seconds"]))
        return True

    def _halt(self, symbol: str, args: Args) -> bool:
        pair = self._world.engine.pairs[symbol]
        pair.tradable = False

        def again() -> None:
            pair.tradable = True

        self._undo.append(again)
        self._world.hub.after(float(args["seconds"]), again)
        return True

    def _streams(self, which: str, args: Args, *, deaf: bool) -> bool:
        done = False
        for main in self._world.living():
            if main.feed is not None:
                stream = main.feed.orders if which == "orders" else main.feed.quotes
                (main.feed.deafen if deaf else main.feed.lose)(stream, float(args["seconds"]))
                done = True
        return done

    def _jump(self, symbol: str, args: Args) -> bool:
        self._world.market.jump(symbol, float(args["percent"]))
        return True

    # ---- machine ----------------------------------------------------------------------------------------

    def _database_down(self, _: str, args: Args) -> bool:
        self._world.weather.last_until(DOWN, self._world.hub.seconds + float(args["seconds"]))
        return True

    def _crash(self, _: str, args: Args) -> bool:
        weather = self._world.weather
        weather.crash_at.add(len(weather.boundaries) + int(args["after"]))
        return True

    def _kill(self) -> bool:
        living = self._world.living()
        for main in living:
            main.process.die()
        return bool(living)

    def _term(self) -> bool:
        living = self._world.living()
        for main in living:
            main.stop()
        return bool(living)

    def _stop(self, _: str, args: Args) -> bool:
        living = self._world.living()
        for main in living:
            main.process.stop(float(args["seconds"]))
        return bool(living)

    def _second(self) -> bool:
        """On another machine, where no lock is seen."""
        self._world.start_main_app()
        return True

    def _clock(self, _: str, args: Args) -> bool:
        world = self._world
        world.step_clocks(float(args["jump"]))
        world.hub.after(float(args["seconds"]), lambda: world.step_clocks(0.0))
        return True

    def _look_in(self, symbol: str) -> None:
        """The operator has mail, and says what becomes of what came back changed."""
        for seconds in (45, 90, 180):
            self._world.hub.after(seconds, lambda: self._accept(symbol))

    def _accept(self, symbol: str) -> None:
        if self._world.person.accept(symbol, self._world.hub.now()):
            self._world.weather.happened["person.accepts"] += 1

    # ---- people ----------------------------------------------------------------------------------------

    def _switch(self, _: str, args: Args) -> bool:
        world = self._world
        world.person.turn_switch(Mode(args["mode"]))

        def back() -> None:
            world.person.turn_switch(Mode.RUN)

        world.hub.after(float(args["seconds"]), back)
        return True
