"""The table of faults.md D.7 for this protocol: what has to hold, what has to fail, and on what it rests."""

from dataclasses import dataclass, replace

from proof.model.rules import DCA, Nature, Protocol, Rules
from proof.model.state import Budget

HOLDS, FAILS = "holds", "fails"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One line of the table. `small` is checked with every test run, `full` by the command."""

    name: str
    what: str
    expected: str
    small: Rules
    full: Rules


def faults_of(rules: Rules) -> str:
    """The faults that are allowed, in words: "2 crashes, 1 loss"."""
    words = [_word(name, count) for name, count in rules.budget._asdict().items() if count]
    return ", ".join(words) or "no faults"


def _word(name: str, count: int) -> str:
    if count > 1:
        return f"{count} {name}"
    return f"{count} {name.removesuffix('es' if name in {'crashes', 'losses'} else 's')}"


def _design(name: str, what: str, small: Rules, full: Rules) -> Variant:
    small, full = replace(small, protocol=DCA), replace(full, protocol=DCA)
    return Variant(name=name, what=what, expected=HOLDS, small=small, full=full)


def _broken(name: str, what: str, rules: Rules, *, reduces: bool = False) -> Variant:
    """What must fail; that is found early, so there is one budget."""
    rules = replace(rules, strict=False, reduces=reduces)
    return Variant(name=name, what=what, expected=FAILS, small=rules, full=rules)


def _holds(name: str, what: str, rules: Rules, small: Budget) -> Variant:
    """What holds all the same."""
    return Variant(name=name, what=what, expected=HOLDS, small=replace(rules, budget=small), full=rules)


def _whole(name: str, what: str, small: Rules, full: Rules) -> Variant:
    """The protocol with nothing left out (folding)."""
    small, full = (replace(rules, protocol=DCA, reduces=False) for rules in (small, full))
    return Variant(name=name, what=what, expected=HOLDS, small=small, full=full)


_STALLED = Budget(losses=1, timeouts=1, stalls=2)

DESIGNS = (
    _design(
        "faults",
        "one buy, the sell",
        Rules(budget=Budget(losses=1, duplicates=1, rejects=1)),
        Rules(
            budget=Budget(crashes=1, losses=1, duplicates=1, rejects=1, timeouts=1, lags=1, cancels=1),
        ),
    ),
    _design(
        "crashes",
        "one buy, the sell",
        Rules(budget=Budget(crashes=1)),
        Rules(budget=Budget(crashes=3, losses=2, timeouts=2)),
    ),
    _design(
        "safety-buy",
        "a buy, perhaps a safety buy, the sell, each filled in parts",
        Rules(budget=Budget(), buys=2, lots=2),
        Rules(budget=Budget(crashes=1, losses=1, cancels=2), buys=2, lots=2),
    ),
    _design(
        "cancels",
        "canceled by main_app or caretaker",
        Rules(budget=Budget(losses=1, cancels=1)),
        Rules(budget=Budget(crashes=1, losses=2, cancels=3), lots=2),
    ),
    _design(
        "commits",
        "commits without an answer",
        Rules(budget=Budget(commits=1)),
        Rules(budget=Budget(crashes=1, losses=1, rejects=1, timeouts=1, commits=2)),
    ),
    _design(
        "lags",
        "a 404 for an order that is there",
        Rules(budget=Budget(lags=1)),
        Rules(budget=Budget(crashes=1, losses=2, rejects=1, timeouts=1, lags=2)),
    ),
    _design(
        "two-mains",
        "a second main_app beside the first",
        Rules(budget=Budget(rejects=1, overlaps=1)),
        Rules(budget=Budget(losses=1, rejects=1, timeouts=1, commits=1, overlaps=1)),
    ),
)

WHOLE = (
    _whole(
        "d7-faults",
        "the budgets of faults.md D.7",
        Rules(budget=Budget(losses=1)),
        Rules(budget=Budget(crashes=1, losses=1, duplicates=1, rejects=1, timeouts=1)),
    ),
    _whole(
        "d7-crashes",
        "the budgets of faults.md D.7",
        Rules(budget=Budget(crashes=1)),
        Rules(budget=Budget(crashes=2, losses=1, timeouts=1)),
    ),
    _whole(
        "d7-safety-buy",
        "the budgets of faults.md D.7",
        Rules(budget=Budget(duplicates=1), buys=2, caretaker=False),
        Rules(budget=Budget(crashes=1), buys=2),
    ),
    _whole(
        "d7-two-mains",
        "two main_apps send again, nothing but rows between them",
        Rules(budget=Budget(rejects=1, overlaps=1), caretaker=False),
        Rules(budget=Budget(losses=1, rejects=1, timeouts=1, overlaps=1)),
    ),
)

BROKEN = (
    _broken(
        "post-first",
        "POST first, then write",
        Rules(budget=Budget(crashes=1), protocol=Protocol(write_first=False)),
    ),
    _broken(
        "timeout-is-no",
        "timeout = failure",
        Rules(budget=Budget(timeouts=1), protocol=Protocol(timeout_is_unknown=False)),
    ),
    _broken(
        "404-is-no",
        "give up on the first 404",
        Rules(budget=Budget(timeouts=1), protocol=Protocol(quiet_before_denial=False)),
    ),
    _broken(
        "new-id",
        "a new id per retry",
        Rules(budget=Budget(timeouts=1), protocol=Protocol(same_id=False)),
    ),
    _broken(
        "reject-final",
        "a 403 is final at once, whatever is unanswered",
        Rules(
            budget=Budget(rejects=1, timeouts=1, overlaps=1),
            protocol=Protocol(reject_needs_all_answers=False),
            caretaker=False,
        ),
    ),
    _broken(
        "blind-resend",
        "sent again without reading the row under lock",
        Rules(budget=Budget(losses=1, timeouts=1), protocol=Protocol(resend_under_lock=False)),
    ),
    _broken(
        "cancel-is-end",
        "cancel without confirmation",
        Rules(budget=Budget(cancels=1), protocol=Protocol(cancel_is_confirmed=False)),
    ),
    _broken(
        "delta-fills",
        "fills are added up",
        Rules(budget=Budget(duplicates=1), protocol=Protocol(fills_merge=False)),
    ),
    _broken(
        "exchange-id-only",
        "events matched by the exchange's id, nothing looked up",
        Rules(budget=Budget(crashes=1), protocol=Protocol(match_by_our_id=False, reconciles=False)),
    ),
    _broken(
        "no-reconcile",
        "nothing looked up",
        Rules(budget=Budget(crashes=1), protocol=Protocol(reconciles=False)),
    ),
    _broken(
        "no-timeout",
        "no HTTP timeout",
        Rules(budget=Budget(losses=1), protocol=Protocol(http_timeout=False)),
    ),
    _broken(
        "claim-from-memory",
        "no row lock and no unique key",
        Rules(budget=Budget(), protocol=Protocol(one_live_order=False)),
    ),
    _broken(
        "late-send",
        "no deadline between claim and POST",
        Rules(budget=Budget(timeouts=1, stalls=1), protocol=Protocol(deadline_before_send=False)),
    ),
    _broken(
        "late-resend",
        "no deadline before an order is sent again",
        Rules(budget=Budget(losses=1, timeouts=1, stalls=1), protocol=Protocol(deadline_before_resend=False)),
        reduces=True,
    ),
    _broken(
        "stale-denial",
        "a 404 counts from its booking, not its asking",
        Rules(budget=Budget(timeouts=1, stalls=2), protocol=Protocol(denial_counts_from_asking=False)),
    ),
)

ASSUMPTIONS = (
    _broken(
        "a2",
        "A2 does not hold: a 404 for longer than QUIET",
        Rules(budget=Budget(timeouts=1, lags=1), nature=Nature(seen_within_quiet=False)),
    ),
    _broken(
        "a3",
        "A3 does not hold: a POST lands after QUIET",
        Rules(budget=Budget(timeouts=1), nature=Nature(lands_within_quiet=False)),
    ),
    _holds(
        "no-void",
        "neither A2 nor A3, and no order is ever given up",
        Rules(
            budget=Budget(losses=1, timeouts=1, lags=1),
            protocol=Protocol(gives_up=False),
            nature=Nature(seen_within_quiet=False, lands_within_quiet=False),
        ),
        small=Budget(timeouts=1),
    ),
    _broken(
        "no-void-403",
        "the same, and an order sent twice is refused once",
        Rules(
            budget=Budget(timeouts=2, rejects=1),
            protocol=Protocol(gives_up=False),
            nature=Nature(lands_within_quiet=False),
            caretaker=False,
        ),
    ),
    _broken(
        "a1-a3",
        "neither A1 nor A3: an id is taken twice",
        Rules(
            budget=Budget(timeouts=1),
            protocol=Protocol(gives_up=False),
            nature=Nature(ids_are_unique=False, lands_within_quiet=False),
        ),
    ),
    _holds(
        "a1",
        "A1 alone does not hold",
        Rules(budget=Budget(losses=1, timeouts=1), nature=Nature(ids_are_unique=False)),
        small=Budget(timeouts=1),
    ),
    _holds(
        "no-epoch",
        "two main_apps, and neither knows of the other",
        Rules(budget=Budget(timeouts=1, overlaps=1), protocol=Protocol(epoch_guards=False)),
        small=Budget(overlaps=1),
    ),
    _holds(
        "stalls",
        "stalls; with both guards that dca lacks",
        Rules(budget=_STALLED),
        small=Budget(stalls=1),
    ),
    _holds(
        "main-gives-up",
        "stalls; only main_app gives up, no other guard",
        Rules(
            budget=_STALLED,
            protocol=Protocol(
                only_main_gives_up=True,
                denial_counts_from_asking=False,
                deadline_before_send=False,
                deadline_before_resend=False,
            ),
        ),
        small=Budget(stalls=1),
    ),
)

GROUPS = {
    "the protocol": DESIGNS,
    "the protocol, nothing left out": WHOLE,
    "broken on purpose": BROKEN,
    "what it rests on": ASSUMPTIONS,
}
VARIANTS = {variant.name: variant for group in GROUPS.values() for variant in group}
