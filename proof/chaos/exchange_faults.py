"""The exchange's faults that a chaos run asks for. Left out: those that break an assumption the protocol
rests on (a fill after a terminal state, keys revoked for ever, a cancellation that never ends)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from proof.chaos.kinds import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A fault as the exchange's admin takes it. `lasts`: until it is cleared; others are used up."""

    name: str
    count: int = 1
    args: Mapping[str, Any] = field(default_factory=dict)
    lasts: bool = False
    one_symbol: bool = False
    in_smoke: bool = True


_ORDERS = (
    Trouble(name="post.accept_then_drop", count=2),
    Trouble(name="post.drop_before", in_smoke=False),
    Trouble(name="post.delay", args={"seconds": 3}, in_smoke=False),
    Trouble(name="post.status", args={"code": 504, "after_accept": True}),
    Trouble(name="post.status", args={"code": 500, "after_accept": True}),
    Trouble(name="post.status", args={"code": 503, "after_accept": False}, in_smoke=False),
    Trouble(name="post.body", args={"kind": "garbage"}),
    Trouble(name="post.body", args={"kind": "empty"}),
    Trouble(name="post.body", args={"kind": "unknown_enum"}),
    Trouble(name="reject", args={"code": 40310000, "msg": "insufficient balance"}, in_smoke=False),
)
_READS = (
    Trouble(name="get.error", count=6, args={"code": 500}),
    Trouble(name="get.error", count=6, args={"code": 503}),
    Trouble(name="get.not_found_for", args={"seconds": 6}, lasts=True),
    Trouble(name="get.stale", count=4, args={"seconds": 2}),
    Trouble(name="positions.lag", args={"seconds": 2}, lasts=True),
    Trouble(name="rate_limit", count=8),
)
_STREAMS = (
    Trouble(name="ws.event_before_reply", count=2),
    Trouble(name="ws.drop", count=3),
    Trouble(name="ws.dup", count=5),
    Trouble(name="ws.reorder", count=3),
    Trouble(name="ws.mute", lasts=True, in_smoke=False),
    Trouble(name="ws.half_open", lasts=True, in_smoke=False),
    Trouble(name="ws.close", args={"code": 1006}),
    Trouble(name="ws.close", args={"code": 1012}),
    Trouble(name="ws.refuse", count=2, args={"status": 503}),
    Trouble(name="md.mute", lasts=True, in_smoke=False),
    Trouble(name="md.half_open", lasts=True, in_smoke=False),
    Trouble(name="md.close", args={"code": 1006}),
    Trouble(name="md.backlog", args={"seconds": 30}, lasts=True),
    *(
        Trouble(name="md.bad_quote", count=12, args={"kind": kind})
        for kind in ("zero", "nan", "negative", "crossed", "spike", "stale")
    ),
)
_FILLS = (
    Trouble(name="fill.partial", count=4),
    Trouble(name="fill.none", lasts=True, one_symbol=True),
    Trouble(name="fill.on_cancel"),
    Trouble(name="fee.immediate", count=3, args={"bps": 15}),
    Trouble(name="fee.deferred", count=3, args={"seconds": 2}),
)
_CLOSED = (
    Trouble(name="account.block", lasts=True),
    Trouble(name="asset.halt", lasts=True, one_symbol=True),
)
OF_KIND: Mapping[str, tuple[Trouble, ...]] = {
    "exchange.orders": _ORDERS,
    "exchange.reads": _READS,
    "exchange.streams": _STREAMS,
    "exchange.fills": _FILLS,
    "exchange.closed": _CLOSED,
}


class Drawer:
    """Draws the troubles of a kind in turn, each order shuffled, so that every one has its turn."""

    def __init__(self, random: Random, pace: Pace) -> None:
        self._random = random
        self._smoke = pace.smoke
        self._left: dict[str, list[Trouble]] = {}

    def draw(self, kind: str) -> Trouble:
        left = self._left.get(kind)
        if not left:
            left = [each for each in OF_KIND[kind] if each.in_smoke or not self._smoke]
            self._random.shuffle(left)
            self._left[kind] = left
        return left.pop()
