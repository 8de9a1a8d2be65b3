"""./bot COMMAND: finds the command, and says in one line what went wrong."""

import argparse
import shlex
import sys
from collections.abc import Sequence

from dca.core.errors import DcaError, SettingsProblem
from dca.operator import formatting
from dca.operator.actions import accept, adopt, pause_resume, sell, stop_start
from dca.operator.asset_settings import assets, retire
from dca.operator.session import Command, Tools
from dca.operator.setup import doctor, install, send_test_mail
from dca.operator.views import reports, status, why
from dca.runtime import script

COMMANDS: dict[str, Command] = {
    **status.COMMANDS,
    **why.COMMANDS,
    **doctor.COMMANDS,
    **assets.COMMANDS,
    **retire.COMMANDS,
    **pause_resume.COMMANDS,
    **sell.COMMANDS,
    **adopt.COMMANDS,
    **accept.COMMANDS,
    **reports.COMMANDS,
    **stop_start.COMMANDS,
    **send_test_mail.COMMANDS,
    **install.COMMANDS,
}


def main(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code: 0 done, 1 failed or something is wrong, 2 settings or usage."""
    script.keep_to_ourselves()
    name, rest = arguments[0], arguments[1:]
    command = COMMANDS[name]
    parser = argparse.ArgumentParser(prog=f"bot {name}", description=command.help)
    command.add_arguments(parser)
    try:
        return command.run(parser.parse_args(rest), Tools(shlex.join(arguments)))
    except SettingsProblem as error:
        formatting.complain(f"{name}: the settings need attention:")
        for problem in error.problems:
            formatting.complain(f"  - {problem}")
        return 2
    except DcaError as error:
        formatting.complain(f"{name}: {error}")
        return 1
    except OSError as error:  # the screen's disk is full, or its reader has left
        print(f"{name}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{name}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
