"""The programs of a database server: MariaDB's, found, or installed from the distribution's packages; or a
MySQL's, in a folder that the environment names."""

import os
import re
import subprocess
from pathlib import Path

from launcher import apt, mysql
from launcher.commands import find
from launcher.output import LOG, SetUpProblem, step
from launcher.programs import Programs

OLDEST = (10, 6)
COMMAND = "sudo apt-get install mariadb-server-core mariadb-client-core"


def found() -> Programs | None:
    """The programs, if all three are here.

    Raises:
        SetUpProblem: the environment names a folder without MySQL.
    """
    folder = os.environ.get(mysql.VARIABLE)
    if folder:
        return mysql.programs(Path(folder))
    server = _mariadb_server()
    installer = find("mariadb-install-db", "mysql_install_db")
    client = find("mariadb", "mysql")
    if server is None or installer is None or client is None:
        return None
    return Programs(
        server=(server, "--no-defaults"),
        installer=(installer, "--no-defaults"),
        client=(client, "--no-defaults"),
    )


def ensure() -> Programs:
    """The programs, installed if they have to be and we may.

    Raises:
        SetUpProblem: one line with the command to run.
    """
    programs = found()
    if programs is not None:
        return programs
    if not apt.is_here():
        raise SetUpProblem("MariaDB is missing; install its server and client, 10.6 or newer")
    if not apt.may_install():
        raise SetUpProblem(f"MariaDB is missing; run:  {COMMAND}")
    with step("MariaDB (packages of the distribution, no service is started)"):
        installed = _install()
    programs = found()
    if not installed or programs is None:
        raise SetUpProblem(f"MariaDB could not be installed (see {LOG}); run:  {COMMAND}")
    return programs


def _install() -> bool:
    # The third is Ubuntu 22.04's name; the last one would start a service.
    for packages in (
        ["mariadb-server-core", "mariadb-client-core"],
        ["mariadb-server-core-10.6", "mariadb-client-core-10.6"],
    ):
        if apt.install(packages) and found() is not None:
            return True
    return apt.install(["mariadb-server", "mariadb-client"], starts_services=True)


def _mariadb_server() -> str | None:
    """Its path, if it is MariaDB and new enough: Oracle's mysqld is set up in another way."""
    path = find("mariadbd", "mysqld")
    if path is None:
        return None
    try:
        answer = subprocess.run(
            [path, "--no-defaults", "--version"], capture_output=True, text=True, timeout=30
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"(\d+)\.(\d+)\.\d+-MariaDB", answer)
    return path if match and (int(match[1]), int(match[2])) >= OLDEST else None
