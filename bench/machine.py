"""On what it was measured: figures of two machines, or of two sets of libraries, do not compare."""

import importlib
import os
import platform
import subprocess
from datetime import UTC, datetime

import mysql.connector

from launcher.database import PrivateServer
from launcher.output import ROOT


def facts(server: PrivateServer) -> dict[str, object]:
    """Of the machine, the interpreter, the libraries' C parts, the database server and the source."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "mariadb": server.run("SELECT VERSION();\n").strip(),
        "mysql_connector_c_extension": bool(mysql.connector.HAVE_CEXT),
        "msgpack_c_extension": _has("msgpack._cmsgpack"),
        "websockets_c_extension": _has("websockets.speedups"),
        "commit": _commit(),
    }


def _has(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _commit() -> str | None:
    """None where the project is no checkout, or git is missing."""
    try:
        said = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True
        )
    except OSError:
        return None
    return said.stdout.strip() or None
