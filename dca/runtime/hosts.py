"""Names of servers: which could be connected to, and which can only mean this machine."""

import ipaddress


def is_host(name: str) -> bool:
    """Whether a connection could be tried: names are looked up in an encoding with tables of its own, which
    leaves what is ASCII as it is, if no part of it is empty or too long."""
    if name.isascii():
        *parts, last = name.split(".")
        return len(last) < 64 and all(0 < len(part) < 64 for part in parts)
    try:
        return bool(name.encode("idna")) or not name
    except UnicodeError:
        return False


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
