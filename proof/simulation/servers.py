"""A private database server for --mysql, with a database for each process of the proof."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import mysql.connector

from dca.database.store import Store
from dca.runtime.settings import DatabaseSettings
from launcher.checks import FAST
from launcher.database import PrivateServer

SCHEMA = Path(__file__).resolve().parents[2] / "sql" / "schema.sql"
_USER = "dca_prove"


@contextmanager
def databases() -> Iterator[Callable[[], DatabaseSettings]]:
    """Start a server; what is yielded makes an empty database with the whole schema.

    Raises:
        SetUpProblem: it does not start.
    """
    with PrivateServer(options=FAST) as server:
        password = secrets.token_hex(16)
        server.create_user(_USER, password)
        settings = DatabaseSettings(
            host="localhost",
            port=server.port,
            user=_USER,
            password=password,
            name="",
            socket=str(server.socket),
        )
        yield lambda: _created(settings)


def _created(settings: DatabaseSettings) -> DatabaseSettings:
    made = replace(settings, name=f"dca_prove_{os.getpid()}")
    connection = mysql.connector.connect(
        unix_socket=settings.socket, user=settings.user, password=settings.password, autocommit=True
    )
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {made.name} CHARACTER SET utf8mb4")
    connection.close()
    with Store(made) as store:
        store.run_script(SCHEMA.read_text(encoding="utf-8"))
    return made
