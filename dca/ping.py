"""The ping for an outside watcher: HEARTBEAT_PING_URL is asked for, and that is all."""

import http.client
import threading
import urllib.request

from dca.logs import warn

PING_SECONDS = 5.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        """None: the answer is an error, like any other that is no success."""


def ping(url: str) -> None:
    """Tell an outside watcher that all goes its way. The address is a secret: it is in no line."""
    said: list[str] = []

    def ask() -> None:
        try:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
            with direct.open(url, timeout=PING_SECONDS) as answer:
                said.append("" if answer.status < 300 else f"it answered {answer.status}")
        except urllib.error.HTTPError as error:
            said.append(f"it answered {error.code}")
            error.close()
        except (OSError, ValueError, http.client.HTTPException) as error:
            said.append(type(error).__name__)

    thread = threading.Thread(target=ask, name="ping", daemon=True)
    thread.start()
    thread.join(PING_SECONDS)
    why = said[0] if said else f"no answer within {PING_SECONDS:g} s"
    if why:
        warn("ping", "HEARTBEAT_PING_URL did not take it", why=why)
