"""What is mutated, and which tests may look: the one place that names files. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    name: str
    file: str


MODULES = {
    name: Module(name=name, file=file)
    for name, file in (
        ("strategy", "dca/core/strategy.py"),
        ("lifecycle", "dca/core/lifecycle.py"),
        ("ledger", "dca/core/ledger.py"),
        ("second_look", "dca/trading/quote_confirmation.py"),
        ("wire", "dca/exchange/parsing.py"),
        ("invariants", "dca/core/invariants.py"),
        ("caretaking", "dca/core/order_cleanup.py"),
        ("trader", "dca/trading/trader.py"),
        ("bookkeeper", "dca/trading/bookkeeper.py"),
        ("inbox", "dca/trading/inbox.py"),
        ("worker", "dca/trading/worker.py"),
        ("main_loop", "dca/trading/main_loop.py"),
        ("pace", "dca/exchange/request_budget.py"),
        ("checker", "dca/caretakers/consistency.py"),
        ("inspector", "dca/caretakers/own_ledger.py"),
        ("listings", "dca/caretakers/exchange_lists.py"),
        ("broker", "dca/exchange/rest_client.py"),
        ("feed", "dca/exchange/streams.py"),
        ("watching", "dca/watchdog/rules.py"),
        ("guard", "dca/watchdog/run.py"),
        ("health", "dca/alerts/conditions.py"),
        ("incidents", "dca/alerts/incidents.py"),
        ("postman", "dca/alerts/delivery.py"),
        ("accept", "dca/operator/actions/accept.py"),
        ("adopt", "dca/operator/actions/adopt.py"),
        ("sell", "dca/operator/actions/sell.py"),
        ("assets", "dca/operator/asset_settings/assets.py"),
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
