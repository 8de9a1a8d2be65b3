"""What is mutated, and which tests may look: the one place that names files. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    name: str
    file: str


MODULES = {
    name: Module(name=name, file=file)
    for name, file in (
        ("strategy", "dca/strategy.py"),
        ("lifecycle", "dca/lifecycle.py"),
        ("ledger", "dca/ledger.py"),
        ("second_look", "dca/second_look.py"),
        ("wire", "dca/wire.py"),
        ("invariants", "dca/invariants.py"),
        ("caretaking", "dca/caretaking.py"),
        ("trader", "dca/trader.py"),
        ("bookkeeper", "dca/bookkeeper.py"),
        ("inbox", "dca/inbox.py"),
        ("worker", "dca/worker.py"),
        ("main_loop", "dca/main_loop.py"),
        ("pace", "dca/pace.py"),
        ("checker", "dca/checker.py"),
        ("inspector", "dca/inspector.py"),
        ("listings", "dca/listings.py"),
        ("broker", "dca/broker.py"),
        ("feed", "dca/feed.py"),
        ("watching", "dca/watching.py"),
        ("guard", "dca/guard.py"),
        ("health", "dca/health.py"),
        ("incidents", "dca/incidents.py"),
        ("postman", "dca/postman.py"),
        ("accept", "dca/operator/accept.py"),
        ("adopt", "dca/operator/adopt.py"),
        ("sell", "dca/operator/sell.py"),
        ("assets", "dca/operator/assets.py"),
    )
}
"""In the order of what a mistake there costs."""
NO_JUDGES = (
    *("tests/bench/", "tests/demo/", "tests/exchange/", "tests/launcher/", "tests/proof/"),
    "tests/test_screens",
)
"""Tests of the proof, of figures, of screens and of other programs; JUDGES_OF_THE_PROOF are those of the
first that live lives."""
JUDGES_OF_THE_PROOF = ("test_bitten", "test_faults", "test_fuzz_found", "test_security", "test_contract")


def may_judge(test: str) -> bool:
    """Whether a file of tests runs the modules in its own process and in reasonable time."""
    if test.startswith("tests/proof/"):
        return test.removeprefix("tests/proof/").startswith(JUDGES_OF_THE_PROOF)
    return not test.startswith(NO_JUDGES)
