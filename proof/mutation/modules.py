"""What is mutated, and which tests may look: the one place that names files. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    name: str
    file: str


MODULES = {
    name: Module(name=name, file=f"dca/{name}.py")
    for name in (
        "core/strategy",
        "core/lifecycle",
        "core/ledger",
        "trading/quote_confirmation",
        "exchange/parsing",
        "core/invariants",
        "core/order_cleanup",
        "trading/trader",
        "trading/bookkeeper",
        "trading/inbox",
        "trading/worker",
        "trading/main_loop",
        "exchange/request_budget",
        "caretakers/consistency",
        "caretakers/own_ledger",
        "caretakers/exchange_lists",
        "exchange/rest_client",
        "exchange/streams",
        "watchdog/rules",
        "watchdog/run",
        "alerts/conditions",
        "alerts/incidents",
        "alerts/delivery",
        "operator/actions/accept",
        "operator/actions/adopt",
        "operator/actions/sell",
        "operator/asset_settings/assets",
    )
}
"""In the order of what a mistake there costs."""
NO_JUDGES = (
    *("tests/bench/", "tests/demo/", "tests/launcher/", "tests/paper_exchange/", "tests/recordings/"),
    *("tests/proof/", "tests/operator/test_screens"),
)
"""Tests of the proof, of figures, of screens and of other programs; JUDGES_OF_THE_PROOF are those of the
first that live lives."""
JUDGES_OF_THE_PROOF = ("test_bitten", "test_faults", "test_fuzz_found", "test_security", "test_contract")


def may_judge(test: str) -> bool:
    """Whether a file of tests runs the modules in its own process and in reasonable time."""
    if test.startswith("tests/proof/"):
        return test.removeprefix("tests/proof/").startswith(JUDGES_OF_THE_PROOF)
    return not test.startswith(NO_JUDGES)
