"""Calls to URLs that users name: resolve once, check every address, connect to exactly those (docs/webhooks.md).

A name may point anywhere, and elsewhere a moment later (DNS rebinding). So a URL is resolved here, refused unless every
address may be reached, and the connection goes to the addresses that were checked, while TLS and the `Host` header
keep the name. Redirects are another URL: follow none without asking `resolve_and_pin` again. Proxies of the environment
are ignored, because they would resolve the name themselves.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import httpx

from distill.errors import RetortError, UserError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RESOLVE_SECONDS = 10.0
PORTS = {"https": 443, "http": 80}
#: Addresses that carry an IPv4 address inside: RFC 6052, the well-known prefix of NAT64.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that IANA has given out for the internet


class UrlRefused(UserError):
    """The service does not call this URL."""

    code = "url_refused"


class NameNotResolved(RetortError):
    """The host's name has no address, now."""

    code = "name_not_resolved"
    retryable = True


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be called. Patterns are host names, `*` stands for anything (`*.example.org`).

    `hosts`: which may be called at all. `http_hosts`: which of them also without TLS. `networks`: addresses that may be
    reached though they are not public (loopback, private, link-local, shared, reserved).
    """

    hosts: tuple[str, ...] = ("*",)
    http_hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    @classmethod
    def read(cls, hosts: str = "*", http_hosts: str = "", networks: str = "") -> Policy:
        """From settings: each a list with commas between. Raises ValueError for what is no network."""
        given = tuple(ipaddress.ip_network(each) for each in _listed(networks))
        return cls(_listed(hosts), _listed(http_hosts), given)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL whose host has been resolved and found permitted; `addresses` in the order to try them."""

    url: str
    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]


def resolve_and_pin(url: str, policy: Policy) -> Target:
    """The URL with the addresses to connect to. Raises `UrlRefused` and `NameNotResolved`."""
    scheme, host, port = _parsed(url)
    _check_name(scheme, host, policy)
    addresses = _resolve(host, port)
    for address in addresses:
        # One that may not be reached spoils all: a name that mixes them is broken, or meant to deceive.
        if not reachable(address, policy):
            # Not the address itself: that would let anybody read the names of our network.
            raise UrlRefused(
                f"{host} is not a public address, or its name leads to one that is not.",
                "Name a host on the public internet, or have the operator allow its network.",
                {"host": host},
            )
    return Target(url, scheme, host, port, tuple(str(address) for address in addresses))


def check_name(url: str, policy: Policy) -> None:
    """As far as a URL can be judged without asking for addresses. Raises `UrlRefused`."""
    scheme, host, _ = _parsed(url)
    _check_name(scheme, host, policy)


def reachable(address: Address, policy: Policy) -> bool:
    """Whether the address is public, or in a network that the operator allows."""
    inner = _inner(address)
    if any(address in network or inner in network for network in policy.networks):
        return True
    if address.version == 6 and inner == address and address not in _UNICAST:
        return False  # a site's own, an operator's own NAT64, and forms that Python's tables count as global
    return all(each.is_global and not each.is_multicast for each in (address, inner))


class PinnedTransport(httpx.HTTPTransport):
    """Connects to the target's addresses and nowhere else: `httpx.Client(transport=PinnedTransport(target))`."""

    def __init__(self, target: Target, verify: object = True) -> None:
        super().__init__(verify=verify, trust_env=False)  # type: ignore[arg-type] # httpx's own union is wider
        self._target = target

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        *before, last = _pinned(request, self._target)
        for attempt in before:
            try:
                return super().handle_request(attempt)
            except httpx.ConnectError:
                continue
        return super().handle_request(last)


class AsyncPinnedTransport(httpx.AsyncHTTPTransport):
    """`PinnedTransport` for `httpx.AsyncClient`."""

    def __init__(self, target: Target, verify: object = True) -> None:
        super().__init__(verify=verify, trust_env=False)  # type: ignore[arg-type] # httpx's own union is wider
        self._target = target

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        *before, last = _pinned(request, self._target)
        for attempt in before:
            try:
                return await super().handle_async_request(attempt)
            except httpx.ConnectError:
                continue
        return await super().handle_async_request(last)


def _pinned(request: httpx.Request, target: Target) -> list[httpx.Request]:
    """The request once an address. Its `Host` header is set already; TLS asks for the name by `sni_hostname`."""
    url = request.url
    port = url.port or PORTS.get(url.scheme)
    if (url.scheme, url.raw_host.decode(), port) != (target.scheme, target.host, target.port):
        raise UrlRefused(f"{url} is not the checked URL {target.url}.", "Resolve and check it first.")
    extensions = dict(request.extensions) | {"sni_hostname": target.host}
    return [
        httpx.Request(
            request.method,
            url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions=extensions,
        )
        for address in target.addresses
    ]


def _parsed(url: str) -> tuple[str, str, int]:
    """Scheme, host and port, exactly as httpx will read them."""
    try:
        found = httpx.URL(url)
        plain = urlsplit(url)
        host = found.host  # decoded only here: a host may begin as Punycode does and be none
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise UrlRefused(f"This is not a URL ({error}).", "Send it whole, as https://host/path.") from error
    if found.scheme not in PORTS or not host or plain.scheme.lower() != found.scheme:
        raise UrlRefused(f"{url!r} is not an http or https URL with a host.", "Send it whole, as https://host/path.")
    if found.userinfo:
        raise UrlRefused("The URL holds a user name or password.", "Leave them out.")
    if not 0 < (PORTS[found.scheme] if found.port is None else found.port) < 65536:
        raise UrlRefused(f"{found.port} is not a port.", "Leave it out, or use one below 65536.")
    return found.scheme, found.raw_host.decode(), found.port or PORTS[found.scheme]  # in ASCII, as TLS wants it


def _check_name(scheme: str, host: str, policy: Policy) -> None:
    if not named(host, policy.hosts):
        raise UrlRefused(f"The operator does not allow calls to {host}.", "Use a host that is allowed, or ask for it.")
    if scheme == "http" and not named(host, policy.http_hosts):
        raise UrlRefused(f"{host} may be called over https only.", "Use https, or have the operator allow http to it.")


def named(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether a host is one of those that the patterns mean."""
    return any(fnmatchcase(host.lower().rstrip("."), pattern.lower()) for pattern in patterns)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _resolve(host: str, port: int) -> list[Address]:
    """Every address of the host. The system's resolver knows no time limit, so a thread asks it."""
    found: list[tuple[object, ...]] = []
    failed: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="resolve")
    thread.start()
    thread.join(RESOLVE_SECONDS)
    if not found:
        why = failed[0] if failed else f"no answer in {RESOLVE_SECONDS:g} s"
        raise NameNotResolved(f"{host} cannot be resolved ({why}).", "Check the name.", {"host": host})
    return list(dict.fromkeys(ipaddress.ip_address(str(entry[4][0])) for entry in found))  # type: ignore[index]


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does: what a gateway or our own kernel would reach."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
