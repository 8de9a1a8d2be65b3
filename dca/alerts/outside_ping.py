"""The ping for an outside watcher: HEARTBEAT_PING_URL is asked for, and that is all."""

import threading

import urllib3
from urllib3.exceptions import HTTPError

from dca.exchange import http_deadline
from dca.runtime.log_lines import warn

PING_SECONDS = 5.0
_CONNECT_SECONDS = 2.0


def ping(url: str) -> None:
    """Tell an outside watcher that all goes its way. The address is a secret: it is in no line."""
    said: list[str] = []

    def ask() -> None:
        limits = urllib3.Timeout(connect=_CONNECT_SECONDS, read=PING_SECONDS)
        with urllib3.PoolManager(timeout=limits) as direct:
            direct.pool_classes_by_scheme = http_deadline.POOLS
            try:
                answer = direct.request("GET", url, redirect=False, retries=False, preload_content=False)
                said.append("" if answer.status < 300 else f"it answered {answer.status}")
            except (HTTPError, OSError, ValueError) as error:
                said.append(type(error).__name__)

    thread = threading.Thread(target=ask, name="ping", daemon=True)
    thread.start()
    thread.join(PING_SECONDS)
    why = said[0] if said else f"no answer within {PING_SECONDS:g} s"
    if why:
        warn("ping", "HEARTBEAT_PING_URL did not take it", why=why)
