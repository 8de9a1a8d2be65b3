"""What main_app waits for since its start, as a finding: all but a server that is down. Pure."""

from collections.abc import Iterator

from dca.core.operations import Finding, IncidentKind
from dca.runtime.heartbeat import Beat, Hurdle

KEYS_REFUSED, START_REFUSED = "keys refused", "start refused"
_TOLD_ELSEWHERE = frozenset({None, Hurdle.DATABASE, Hurdle.EXCHANGE})


def findings(beat: Beat | None, refusal: str | None) -> Iterator[Finding]:
    """`beat`: if it says how things are now. `refusal`: why the database must not be used, if the caller was
    refused itself."""
    hurdle, why = (None, "") if beat is None else (beat.waiting_for, beat.waiting_why)
    if refusal is not None:
        hurdle, why = Hurdle.OTHER, refusal
    if hurdle in _TOLD_ELSEWHERE:
        return
    name, subject = START_REFUSED, "main_app waits and does not trade"
    if hurdle == Hurdle.KEYS:
        name, subject = KEYS_REFUSED, "The exchange refuses the keys"
    brief = f"{subject}: {why}"
    lines = [
        f"main_app waits, and neither buys nor sells: {why}.",
        "It tries again every few seconds, reads .env anew each time, and goes on by itself once this is put",
        "right: nothing has to be restarted. What is open at the exchange stays open meanwhile.",
    ]
    yield Finding(
        name=name, kind=IncidentKind.HEALTH, subject=subject, evidence="\n".join(lines), brief=brief
    )
