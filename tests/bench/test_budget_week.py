"""main_app's memory does not follow the orders and faults that it has seen."""

from bench.budget_week import FAULTS, Week, grown


def test_nothing_of_main_app_grows_with_orders_and_faults() -> None:
    week = Week(fault_seconds=100.0)
    try:
        before, after = week.sample(0.1), week.sample(0.3)
        happened = week.world.weather.happened
    finally:
        week.close()
    assert after.orders > 2 * before.orders > 50
    assert sum(happened.values()) > 100
    assert not [name for name in FAULTS if name not in happened], "a fault that never came"
    assert grown(before, after) == {}
    assert after.objects < before.objects * 1.2


def test_what_grows_is_named() -> None:
    week = Week()
    try:
        before = week.sample(0.01)
        loop = week.world.living()[0]._loop
        assert loop is not None
        loop._asked_at.update(dict.fromkeys(range(100), week.world.hub.now()))
        after = week.sample(0.01)
    finally:
        week.close()
    assert grown(before, after) == {"MainLoop._asked_at": (0, 100)}
    assert after.objects >= before.objects + 90
