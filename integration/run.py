"""The run: set up, play each scenario, clean up whatever happened, sum up."""

import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from dca.core.errors import DcaError, SettingsProblem
from integration import care, trading
from integration.market import Market
from integration.options import parse
from integration.problems import Failed, NotHere, Refused
from integration.report import Outcome, Report, Verdict
from integration.scenario import Scenario
from integration.stage import Stage
from integration.world import World

SCENARIOS: tuple[Scenario, ...] = (*trading.SCENARIOS, *care.SCENARIOS)
PASSED, FAILED, REFUSED = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 0 all passed, 1 a scenario failed, 2 refused or settings."""
    options = parse(arguments, [each.number for each in SCENARIOS])
    report = Report(options.loudness)
    wanted = [each for each in SCENARIOS if not options.only or each.number in options.only]
    if options.show_list:
        _show(report, wanted)
        return PASSED
    signal.signal(signal.SIGTERM, _interrupt)
    stage = Stage(options, report)
    outcomes: list[Outcome] = []
    began = time.monotonic()
    code = FAILED
    try:
        _play_all(stage, wanted, report, outcomes)
        code = FAILED if any(each.verdict is Verdict.FAILED for each in outcomes) else PASSED
    except (Refused, DcaError) as error:
        code = _refused(error, report)
    except KeyboardInterrupt:
        report.announce("interrupted: cleaning up")
    finally:
        code = max(code, _close(stage, report))
    if outcomes:
        report.summary(outcomes, len(wanted), stage.where, time.monotonic() - began)
    return code


def _play_all(stage: Stage, wanted: Sequence[Scenario], report: Report, outcomes: list[Outcome]) -> None:
    world, market = stage.open(symbol for each in wanted for symbol in each.symbols)
    for each in wanted:
        stage.still_alone()
        outcomes.append(_play(each, world, market, report))
        stage.between()


def _refused(error: Refused | DcaError, report: Report) -> int:
    if isinstance(error, SettingsProblem):
        report.announce("the settings need attention:")
        for problem in error.problems:
            report.announce(f"  - {problem}")
    else:
        report.announce(f"refused: {error}")
    return REFUSED


def _close(stage: Stage, report: Report) -> int:
    """Clean up without being interrupted; returns 1 if something is left behind."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    problems = stage.close()
    for problem in problems:
        report.announce(f"left behind: {problem}")
    return FAILED if problems else PASSED


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _play(scenario: Scenario, world: World, market: Market, report: Report) -> Outcome:
    report.begin(scenario.number, scenario.name, scenario.prerequisite, scenario.action, scenario.expects)
    world.about = ""
    began = time.monotonic()
    verdict, why, details = Verdict.PASSED, "", list[str]()
    try:
        scenario.play(world, market)
    except NotHere as reason:
        verdict, why = Verdict.SKIPPED, str(reason)
    except (Failed, DcaError) as error:
        verdict, why, details = Verdict.FAILED, str(error), world.scripts.last_words()
    seconds = time.monotonic() - began
    return report.end(scenario.number, scenario.name, verdict, seconds, why, details)


def _show(report: Report, scenarios: Sequence[Scenario]) -> None:
    for each in scenarios:
        report.begin(each.number, each.name, each.prerequisite, each.action, each.expects)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
