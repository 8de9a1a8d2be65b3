"""./bot install makes the database and its user, where it may, and says what to run where it may not."""

import os
from dataclasses import replace

import mysql.connector
import pytest

from dca.database.create_database import make, statements
from dca.database.store import Store
from tests import installing
from tests.conftest import Server, connected
from tests.installing import ODD, SECRETS, Machine

machine, root = installing.machine, installing.root  # fixtures: an import would clash with arguments


def test_without_a_login_it_prints_what_an_administrator_runs(machine: Machine) -> None:
    """Here nobody is the server's root: over the network it is not tried."""
    port = str(machine.server.settings.port)
    machine.values |= {"DB_SOCKET": "", "DB_HOST": "127.0.0.1", "DB_PORT": port, "DB_USER": "stranger"}
    machine.values["DB_NAME"] = "some_name"
    machine.outside = {}
    machine.write_env()
    answer = machine.run("install")
    assert answer.returncode == 1 and "run the statements above" in answer.stderr
    lines = [line.strip() for line in answer.stdout.splitlines()]
    assert "CREATE DATABASE IF NOT EXISTS `some_name` CHARACTER SET utf8mb4;" in lines
    assert (
        "CREATE USER IF NOT EXISTS 'stranger'@'localhost' IDENTIFIED BY '...',"
        " 'stranger'@'127.0.0.1' IDENTIFIED BY '...';"
    ) in lines
    assert r"GRANT ALL ON `some\_name`.* TO 'stranger'@'localhost', 'stranger'@'127.0.0.1';" in lines
    assert not machine.crontab.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the system's root may be the server's")
def test_the_servers_root_makes_database_and_user(machine: Machine) -> None:
    name, user = f"dca_made_{os.getpid()}", f"made{os.getpid()}"
    machine.values |= {"DB_NAME": name, "DB_USER": user}
    machine.write_env()
    try:
        steps = machine.steps("install", "--yes")
        assert steps["database"] == f"made {name} and its user {user}"
        assert steps["tables"].startswith("applied")
    finally:
        machine.server.run(
            f"DROP DATABASE IF EXISTS {name}",
            f"DROP USER IF EXISTS '{user}'@'localhost', '{user}'@'127.0.0.1'",
        )


@pytest.mark.parametrize("password", ["plain", "".join(ODD)])
def test_the_user_that_is_made_can_log_in_and_sees_nothing_else(root: Server, password: str) -> None:
    name, user = f"dca_x_{os.getpid()}", f"x{os.getpid()}"
    database = replace(root.settings, name=name, user=user, password=password)
    shown = statements(database)
    assert len(shown) == 3 and password not in "".join(shown).replace(user, "").replace("'...'", "")
    try:
        root.run(*statements(database, password))
        with Store(database) as store:
            store.run_script("CREATE TABLE t (i INT);\n")
            assert store.schema_version() == 0
        wildcard = name.replace("_", "y")  # what `_` would match if it were not escaped
        root.run(f"CREATE DATABASE {wildcard}")
        with pytest.raises(mysql.connector.Error, match="denied"):
            connected(replace(database, name=wildcard))
    finally:
        root.run(
            f"DROP DATABASE IF EXISTS {name}",
            f"DROP DATABASE IF EXISTS {name.replace('_', 'y')}",
            f"DROP USER IF EXISTS '{user}'@'localhost', '{user}'@'127.0.0.1'",
        )


def test_a_root_that_may_not_log_in_is_told_without_the_password(server: Server) -> None:
    database = replace(server.settings, name="x", password=SECRETS["DB_PASSWORD"])
    with pytest.raises(Exception, match="/nowhere") as caught:
        make(database, "/nowhere")
    assert SECRETS["DB_PASSWORD"] not in str(caught.value)
