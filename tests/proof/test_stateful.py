"""Whole lives of the bot under faults, found by Hypothesis: what it chooses is shrunk to the fewest steps.

The machinery is the simulation's. Its own seeds draw steps at random times; here one step follows another,
with time in between, from a tenth of a second to a cooldown. What was found so far has tests of its own
(docs/reliability.md names them).
"""

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proof.simulation.acts import Acts
from proof.simulation.plan import KINDS, Step
from proof.simulation.run import heal, world_of
from proof.simulation.world import World, quiet_logging

GAPS_SECONDS = (0.1, 0.5, 2.0, 6.0, 20.0, 70.0)


class Life(RuleBasedStateMachine):
    """One to three assets, anything that can go wrong, in any order; then it has to come right."""

    world: World

    @initialize(seed=st.integers(0, 999))
    def begins(self, seed: int) -> None:
        quiet_logging()
        self.world = world_of(seed)
        self.acts = Acts(self.world)
        self.symbols = sorted(self.world.market.prices)
        self.world.begin()
        self.world.run(3.0)

    @rule(
        kind=st.sampled_from(sorted(KINDS)),
        pair=st.integers(0, 2),
        dice=st.integers(0, 999),
        gap=st.sampled_from(GAPS_SECONDS),
    )
    def goes_wrong(self, kind: str, pair: int, dice: int, gap: float) -> None:
        """A step of a kind, with arguments as a seed would draw them, and what comes of it."""
        _, of_pair, arguments = KINDS[kind]
        symbol = self.symbols[pair % len(self.symbols)] if of_pair else None
        step = Step(at=self.world.hub.seconds, kind=kind, symbol=symbol, args=arguments(random.Random(dice)))
        self.world.hub.after(0.01, self.acts.doing(step))
        self.world.run(gap)

    @rule(gap=st.sampled_from(GAPS_SECONDS))
    def goes_on(self, gap: float) -> None:
        self.world.run(gap)

    @invariant()
    def nothing_is_broken(self) -> None:
        """Class S, looked at after every commit and request."""
        world = getattr(self, "world", None)
        assert world is None or world.violations == []

    def teardown(self) -> None:
        """Faults off: all settles, every asset trades again, the money adds up (classes Q and T)."""
        world = getattr(self, "world", None)
        if world is None:
            return
        try:
            if not world.violations:
                heal(world, self.acts)
            assert world.violations == []
        finally:
            world.close()


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
