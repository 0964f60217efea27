"""deploy/nginx.conf in a real nginx, before two small servers that come and go by name, as containers do."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import create_default_context, get_server_certificate

import pytest

from tests.services.processes import free_ports
from tests.worker.support import wait_until

ROOT = Path(__file__).resolve().parents[2]
#: What a presigned URL may hold: escapes that stand for reserved characters, doubled slashes, dots, `+`.
EXACT = "/retort/a%2Fb//c%20d/./e+f?X-Amz-Credential=retort%2F20260131%2Fus-east-1&X-Amz-Signature=ab%2bcd&x="
CAPABILITIES = "-all,+chown,+setuid,+setgid,+dac_override"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: nginx's workers are `nobody`, who may not enter those."""
    made = Path(tempfile.mkdtemp(prefix="retort-nginx-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def names() -> Iterator[Names]:
    served = Names()
    yield served
    served.close()


def test_requests_go_on_as_they_came_and_names_are_asked_again(folder: Path, names: Names) -> None:
    with proxy(folder, names) as (api, objects):
        # Neither name is known when nginx starts, as with an S3 server elsewhere; the rest is served all the same.
        assert get(folder, objects, EXACT)[0] == 502
        with upstream("127.0.0.2", names.api_port, "api"), upstream("127.0.0.2", names.s3_port, "objects"):
            names.known |= {"api": "127.0.0.2", "seaweedfs": "127.0.0.2"}
            wait_until(lambda: get(folder, api, EXACT)[0] == 200, 20)
            assert get(folder, api, EXACT)[1] == f"api|GET {EXACT}|localhost:{api}|https"
            wait_until(lambda: get(folder, objects, EXACT)[0] == 200, 20)
            assert get(folder, objects, EXACT)[1] == f"objects|GET {EXACT}|localhost:{objects}|https"
        with upstream("127.0.0.3", names.api_port, "made anew"):
            names.known["api"] = "127.0.0.3"
            wait_until(lambda: get(folder, api, "/")[1].startswith("made anew|"), 20)


def test_a_renewed_certificate_is_served_after_a_reload(folder: Path, names: Names) -> None:
    """As docs/deploy.md has it, but for the folder."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    (command,) = re.findall(r"exec -T tls (nginx -c /etc/nginx/retort.conf .*)", page)
    with proxy(folder, names) as (api, _):
        old = get_server_certificate(("localhost", api))
        shutil.rmtree(folder / "certificates")
        certificate(folder / "certificates")
        config = str(folder / "nginx.conf")
        arguments = command.replace("/etc/nginx/retort.conf", config).split()[1:]
        subprocess.run([nginx(), *arguments], check=True, capture_output=True)
        wait_until(lambda: get_server_certificate(("localhost", api)) != old, 20)


def test_a_key_of_any_owner_is_read_with_the_capabilities_of_tls_yml(folder: Path, names: Names) -> None:
    """The master is root without root's powers but for those: a key of another user, in a folder of his alone."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv: what nginx may read with few capabilities was not tried")
    written = (ROOT / "deploy" / "tls.yml").read_text()
    (added,) = re.findall(r"cap_add: \[(.*)\]", written)
    assert "-all," + ",".join(f"+{name.lower()}" for name in added.split(", ")) == CAPABILITIES
    config = configured(folder, names, *free_ports(2))
    for path in (folder / "certificates", *(folder / "certificates").iterdir()):
        os.chown(path, 4711, 4711)
    few = ["setpriv", "--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES, "--no-new-privs"]
    done = subprocess.run([*few, nginx(), "-t", "-c", str(config)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def nginx() -> str:
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("nginx is not installed, so deploy/nginx.conf was not run")
    return found


@contextmanager
def proxy(folder: Path, names: Names) -> Iterator[tuple[int, int]]:
    """The two ports that nginx answers on."""
    ports = free_ports(2)
    command = [nginx(), "-c", str(configured(folder, names, *ports)), "-g", "daemon off;"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            wait_until(lambda: answers(folder, ports[0]), 20)
            yield ports[0], ports[1]
        finally:
            process.terminate()


def configured(folder: Path, names: Names, port: int, s3_port: int) -> Path:
    """The file as it is, with other ports, folders and name server: all that a container's walls would keep apart."""
    certificate(folder / "certificates")
    (folder / "tmp").mkdir()
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in {
        " /tmp/": f" {folder}/tmp/",
        "127.0.0.11 valid=10s": f"127.0.0.1:{names.port} valid=1s", " 8443 ": f" 127.0.0.1:{port} ",
        " 8444 ": f" 127.0.0.1:{s3_port} ", "api:8000": f"api:{names.api_port}",
        "/certificates": f"{folder}/certificates", "seaweedfs:8333": f"seaweedfs:{names.s3_port}",
    }.items():  # fmt: skip
        assert old in text, old
        text = text.replace(old, new)
    config = folder / "nginx.conf"
    config.write_text(text)
    return config


def certificate(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    named = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", *options, *named, *files], check=True, capture_output=True)
    (folder / "privkey.pem").chmod(0o600)


def answers(folder: Path, port: int) -> bool:
    try:
        return get(folder, port, "/")[0] > 0
    except OSError:
        return False


def get(folder: Path, port: int, uri: str) -> tuple[int, str]:
    """Status and body; the URI goes out as it is, which httpx would tidy."""
    trusted = create_default_context(cafile=str(folder / "certificates" / "fullchain.pem"))
    connection: HTTPConnection = HTTPSConnection("localhost", port, context=trusted, timeout=10)
    try:
        connection.request("GET", uri)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@contextmanager
def upstream(address: str, port: int, name: str) -> Iterator[None]:
    """Answers with what it was asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen = f"{name}|GET {self.path}|{self.headers['Host']}|{self.headers['X-Forwarded-Proto']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(seen)))
            self.end_headers()
            self.wfile.write(seen)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer((address, port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class Names:
    """A name server with A records alone (RFC 1035, 4.1), as Docker's is: a name is there while its container is."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.api_port, self.s3_port = free_ports(2)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, asker = self._socket.recvfrom(512)
            if not query:
                return
            self._socket.sendto(self._answer(query), asker)

    def _answer(self, query: bytes) -> bytes:
        address = self.known.get(query[13 : 13 + query[12]].decode())
        if address is None:  # NXDOMAIN
            return query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:]
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04" + socket.inet_aton(address)
        return query[:2] + b"\x81\x80" + query[4:6] + b"\x00\x01" + bytes(4) + query[12:] + record
