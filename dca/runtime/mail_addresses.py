"""Mail addresses as people write them: one, or several with commas, with or without names beside them."""

import re

from dca.runtime.hosts import is_host

_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@([^\s@,;:<>()\\\"]+)")


def are_good(text: str, *, several: bool) -> bool:
    """Whether mail could be sent to what is written there, or from it."""
    if _is_address(text):
        return True
    from email.utils import getaddresses  # only for those who write more than an address

    found = [address for _, address in getaddresses([text])]
    return (
        (several or len(found) == 1)
        and bool(found)
        and all(each in text and _is_address(each) for each in found)
    )


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and bool(found[1]) and not found[1].endswith(".") and is_host(found[1])
