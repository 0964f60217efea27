"""The guard against server-side request forgery: what is refused, and that a connection goes where it was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.egress import (
    AsyncPinnedTransport,
    NameNotResolved,
    PinnedTransport,
    Policy,
    Target,
    UrlRefused,
    reachable,
    resolve_and_pin,
)

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://127.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://0.0.0.0/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        "https://[::]/",
        "https://[::1]/",
        "https://[fe80::1]/",
        "https://[fd00::1]/",
        "https://[ff02::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[64:ff9b:1::101:101]/",
        "https://[fec0::1]/",
        "https://[::127.0.0.1]/",
        "https://[::1.1.1.1]/",
        "https://[5f00::1]/",
    ],
)
def test_addresses_that_are_not_public_are_refused_however_they_are_written(url: str) -> None:
    with pytest.raises(UrlRefused):
        resolve_and_pin(url, Policy())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//1.1.1.1/",
        "ftp://1.1.1.1/",
        "file:///etc/passwd",
        "gopher://1.1.1.1/",
        "https://",
        "https:///path",
        "https://user:word@1.1.1.1/",
        "https://xn--/",
        "https://xn--a/",
        "https://1.1.1.1\\@127.0.0.1/",
        "https://1.1.1.1:99999/",
        "http://1.1.1.1/",
        "https://a\x00b/",
    ],
)
def test_what_is_no_plain_https_url_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        resolve_and_pin(url, Policy())


def test_a_public_address_is_pinned() -> None:
    found = resolve_and_pin("https://1.1.1.1:8443/hook?x=1", Policy())
    assert (found.scheme, found.host, found.port, found.addresses) == ("https", "1.1.1.1", 8443, ("1.1.1.1",))
    assert resolve_and_pin("https://1.1.1.1", Policy()).port == 443


def test_only_hosts_of_the_policy_may_be_called() -> None:
    policy = Policy(hosts=("1.1.1.*", "*.example.org"), http_hosts=("1.1.1.2",))
    assert resolve_and_pin("https://1.1.1.1/", policy).port == 443
    assert resolve_and_pin("http://1.1.1.2/", policy).port == 80
    for refused in ("https://8.8.8.8/", "http://1.1.1.1/", "https://example.org/", "https://example.org.evil.net/"):
        with pytest.raises(UrlRefused):
            resolve_and_pin(refused, policy)


def test_a_network_of_the_operator_may_be_reached() -> None:
    found = resolve_and_pin("https://localhost/", Policy(networks=LOOPBACK))
    assert set(found.addresses) <= {"127.0.0.1", "::1"}
    with pytest.raises(UrlRefused):
        resolve_and_pin("https://10.0.0.1/", Policy(networks=LOOPBACK))


def test_the_refusal_does_not_tell_an_address_of_our_network() -> None:
    with pytest.raises(UrlRefused) as refused:
        resolve_and_pin("https://localhost/", Policy())
    assert "127" not in str(refused.value.to_dict())


def test_a_name_without_an_address_may_have_one_later() -> None:
    with pytest.raises(NameNotResolved) as unknown:
        resolve_and_pin("https://no-such-name.invalid/", Policy())
    assert unknown.value.retryable


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_itself(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    mapped = ipaddress.IPv6Address((0xFFFF << 32) | number)
    translated = ipaddress.IPv6Address((0x64FF9B << 96) | number)
    assert reachable(plain, Policy()) == (plain.is_global and not plain.is_multicast)
    if not reachable(plain, Policy()):
        assert not reachable(mapped, Policy())
        assert not reachable(translated, Policy())


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.headers["Host"].encode()
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "https://127.0.0.1:1/")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the name hook.test, which no resolver knows."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    names = ["-subj", "/CN=hook.test", "-addext", "subjectAltName=DNS:hook.test"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path)]
    done = subprocess.run(["openssl", "req", "-x509", *key, "-days", "2", *names], capture_output=True, check=True)
    path.write_bytes(path.read_bytes() + done.stdout)
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[int]:
    """The port of a TLS server on 127.0.0.1."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served.server_port
    served.shutdown()
    served.server_close()
    thread.join()


def _target(port: int, host: str = "hook.test", *addresses: str) -> Target:
    return Target(f"https://{host}:{port}/", "https", host, port, addresses or ("127.0.0.1",))


def _trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


def test_the_connection_goes_to_the_address_and_the_name_stays(server: int, certificate: Path) -> None:
    """hook.test cannot be resolved: an answer means that nobody has tried again to."""
    target = _target(server)
    with httpx.Client(transport=PinnedTransport(target, _trusting(certificate)), trust_env=False) as client:
        assert client.get(target.url).text == f"hook.test:{server}"


def test_the_same_without_blocking(server: int, certificate: Path) -> None:
    target = _target(server)

    async def ask() -> str:
        transport = AsyncPinnedTransport(target, _trusting(certificate))
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            return (await client.get(target.url)).text

    assert asyncio.run(ask()) == f"hook.test:{server}"


def test_a_certificate_of_another_name_is_not_accepted(server: int, certificate: Path) -> None:
    target = _target(server, "other.test")
    with (
        httpx.Client(transport=PinnedTransport(target, _trusting(certificate)), trust_env=False) as client,
        pytest.raises(httpx.ConnectError, match=r"(?i)certificate"),
    ):
        client.get(target.url)


def test_the_next_address_is_tried_when_one_does_not_answer(server: int, certificate: Path) -> None:
    target = _target(server, "hook.test", "127.0.0.2", "127.0.0.1")  # nobody listens on the first
    with httpx.Client(transport=PinnedTransport(target, _trusting(certificate)), trust_env=False) as client:
        assert client.post(target.url, content=b"x").status_code == 501
        assert client.get(target.url).text == f"hook.test:{server}"


def test_a_redirect_reaches_nothing_that_was_not_checked(server: int, certificate: Path) -> None:
    target = _target(server)
    transport = PinnedTransport(target, _trusting(certificate))
    with httpx.Client(transport=transport, trust_env=False, follow_redirects=True) as client, pytest.raises(UrlRefused):
        client.get(target.url + "elsewhere")
