"""Which hosts and addresses this process may call, whatever library does it.

Python tells of every name that is resolved and every connection that is opened before it happens (PEP 578), and an
exception of a hook stops it. The address is judged when it is connected to, so a name that leads elsewhere a moment
later (DNS rebinding) and a redirect are held as well. A hook cannot be taken off. Code that is not Python's is not
seen: a process that is held so loads no such client.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Any

from store.egress import Policy, UrlRefused, named, reachable

REMEDY = "Name a host on the public internet, or have the operator allow its network (RETORT_PUBLISH_NETWORKS)."


def hold(policy: Policy) -> None:
    """From now on this process calls what `policy` allows and nothing else. Raises `UrlRefused` where it tries."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            _check_host(arguments[0], policy)
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            _check_address(arguments[0], arguments[1], policy)

    sys.addaudithook(hook)


def _check_host(host: str | bytes | None, policy: Policy) -> None:
    name = host.decode() if isinstance(host, bytes) else host or ""
    if not named(name, policy.hosts):
        raise UrlRefused(f"The operator does not allow calls to {name}.", "Use a host that is allowed, or ask for it.")


def _check_address(opened: socket.socket, address: Any, policy: Policy) -> None:
    if opened.family not in (socket.AF_INET, socket.AF_INET6):
        raise UrlRefused("Only hosts on a network are called.", REMEDY)
    if address is None:
        return  # sendmsg of a socket that is connected
    try:
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        raise UrlRefused("A connection was to be opened to a name that nobody resolved.", REMEDY) from None
    if not reachable(found, policy):
        raise UrlRefused("The host's name leads to an address that is not public.", REMEDY)
