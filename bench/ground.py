"""What every part stands on: one private MariaDB, databases in it, and environments for the bot."""

import secrets
import shutil
import tempfile
from pathlib import Path
from types import TracebackType

from dca.runtime.settings import DatabaseSettings
from demo.processes import minimal_environment
from launcher.database import PrivateServer
from launcher.output import ROOT, VAR

FOLDER = VAR / "bench"
_PREFIX = "bench_"
_KEPT_RUNS = 8
_UNLIMITED = {
    "MAX_ORDERS_PER_MINUTE": "100000",
    "MAX_ORDERS_PER_HOUR": "100000",
    "MAX_REQUESTS_PER_MINUTE": "100000",
}
"""A bench does in seconds what takes hours otherwise; a part that measures the limits sets its own."""


class Ground:
    """A context: server and folder are there inside, and gone afterwards."""

    def __init__(self, folder: Path = FOLDER, *, full: bool = False) -> None:
        """`full`: parts may take as long as they need."""
        self.full = full
        self.server = PrivateServer(folder / "db")
        self.folder = Path()
        """For files of this run only."""
        self._parent = folder
        self._bots = 0

    def __enter__(self) -> "Ground":
        self.server.start()
        self._drop_databases()  # of runs that were cut short
        self._forget_old_runs()
        self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=self._parent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._drop_databases()
        finally:
            self.server.stop()
            if kind is None:  # else its logs tell why
                shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, name: str) -> DatabaseSettings:
        """A new one with the whole schema and no row; an older one of that name is dropped. The user is
        its own and may do everything in it."""
        full_name, password = _PREFIX + name, secrets.token_hex(16)
        self.server.drop_database(full_name)
        self.server.create_database(full_name, full_name, password)
        self.server.load(ROOT / "sql" / "schema.sql", full_name)
        return DatabaseSettings(
            host="127.0.0.1",
            port=self.server.port,
            user=full_name,
            password=password,
            name=full_name,
            socket=str(self.server.socket),
        )

    def bot_env(self, database: DatabaseSettings, urls: dict[str, str], **settings: str) -> dict[str, str]:
        """The whole environment for scripts of the bot, with an .env, logs and state of their own.

        `urls`: as the paper exchange's first line names them. `settings` go over the usual ones. The folder
        of logs/ and state/ is the one that holds the file named by DCA_ENV_FILE.
        """
        self._bots += 1
        folder = self.folder / f"bot-{self._bots}"
        folder.mkdir()
        values = {
            "APCA_API_KEY_ID": urls["key_id"],
            "APCA_API_SECRET_KEY": urls["secret_key"],
            "APCA_API_BASE_URL": urls["trading"],
            "APCA_API_DATA_URL": urls["data"],
            "APCA_API_STREAM_URL": urls["trading_stream"],
            "APCA_DATA_STREAM_URL": urls["data_stream"],
            "DB_HOST": database.host,
            "DB_PORT": str(database.port),
            "DB_SOCKET": database.socket or "",
            "DB_USER": database.user,
            "DB_PASSWORD": database.password,
            "DB_NAME": database.name,
            "LOG_DIR": str(folder / "logs"),
            "STATE_DIR": str(folder / "state"),
            **_UNLIMITED,
            **settings,
        }
        path = folder / "env"
        path.touch(mode=0o600)
        path.write_text("".join(f'{name}="{value}"\n' for name, value in values.items()), encoding="utf-8")
        return {**minimal_environment(), "DCA_ENV_FILE": str(path)}

    def _forget_old_runs(self) -> None:
        """Those that failed left their logs; the last few are enough."""
        for folder in sorted(self._parent.glob("run-*"), key=lambda each: each.stat().st_mtime)[:-_KEPT_RUNS]:
            shutil.rmtree(folder, ignore_errors=True)

    def _drop_databases(self) -> None:
        for name in self.server.databases():
            if name.startswith(_PREFIX):
                self.server.drop_database(name)
