"""No request fills the service's memory: every operation stops reading a body that is too large, whoever sends it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from api.app import ROUTERS
from api.http.auth import SAFE
from api.http.uploads import BLOCK_BYTES, MAX_FIELD_BYTES
from api.middleware.guard import MAX_JSON_BYTES
from api.resources.predictions.schemas import MOST_BODY_BYTES
from tests.api.modes import Service, serving, settings_of

KEY = "a-long-and-random-first-key"
MIB = 1 << 20
CHUNK, ALL = b"x" * (1 << 16), 32 * MIB
START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
MOST_UPLOAD = 2 * MIB
FORM = "multipart/form-data; boundary=b"
TYPES = ("application/json", FORM, "multipart/mixed; boundary=b", "multipart/x", "application/octet-stream", "")
OF_FORMS = {"/teachers": MOST_UPLOAD, "/datasets": MOST_UPLOAD, "/jobs/{job_id}/predict": MOST_BODY_BYTES}
"""Path -> the most bytes of a form's files."""
WRITES = sorted(
    (method, route.path_format)  # type: ignore[attr-defined]
    for router in ROUTERS
    for route in router.routes
    for method in route.methods - SAFE  # type: ignore[attr-defined]
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("bodies")
    more = {"api_key": SecretStr(KEY), "rate_limit_per_second": 0, "max_upload_bytes": MOST_UPLOAD}
    settings = settings_of("embedded", None, folder, **more)  # type: ignore[arg-type]
    with serving("embedded", settings, folder) as running:
        yield running


class Sender:
    """An ASGI client that goes on sending as long as somebody reads, up to `ALL`, or breaks off before that."""

    def __init__(self, gone_after: int = ALL) -> None:
        self.taken, self.status, self.gone_after = 0, 0, gone_after

    async def receive(self) -> dict[str, object]:
        if self.taken > self.gone_after:
            return {"type": "http.disconnect"}
        body = CHUNK if self.taken else START + CHUNK
        self.taken += len(body)
        return {"type": "http.request", "body": body, "more_body": self.taken < ALL}

    async def send(self, message: dict[str, object]) -> None:
        self.status = int(str(message.get("status", self.status)))


def send(service: Service, method: str, path: str, media: str, key: str, gone_after: int = ALL) -> Sender:
    headers = [(b"host", b"127.0.0.1:8000"), (b"transfer-encoding", b"chunked")]
    headers += [(b"content-type", media.encode())] if media else []
    headers += [(b"authorization", f"Bearer {key}".encode())] if key else []
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "headers": headers}
    scope |= {"raw_path": path.encode(), "query_string": b"", "scheme": "http", "client": ("127.0.0.1", 1)}
    sender = Sender(gone_after)
    assert service.client.portal is not None
    service.client.portal.call(service.client.app, scope | {"server": ("127.0.0.1", 8000)}, sender.receive, sender.send)
    return sender


def concrete(service: Service, template: str) -> str:
    """The path with an upload that is there: its parts are what a client may send much of."""
    upload = {"filename": "f", "size_bytes": 9, "purpose": "teacher"}
    headers = {"Authorization": f"Bearer {KEY}"}
    made = service.client.post("/uploads", json=upload, headers=headers).json()["id"] if "upload_id" in template else ""
    ids = {"upload_id": made, "number": "1"}
    return re.sub(r"{(\w+)}", lambda found: ids.get(found[1], "unknown"), template)


def takes_body(service: Service, method: str, path: str) -> bool:
    return "requestBody" in service.client.app.openapi()["paths"][path][method.lower()]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_without_a_key_at_most_a_small_body_is_read(service: Service, method: str, path: str) -> None:
    """Nothing of it where the endpoint streams; elsewhere FastAPI reads the body first, and the guard bounds that."""
    where, streams = concrete(service, path), path in OF_FORMS or path.endswith("/parts/{number}")
    for media in TYPES:
        sent = send(service, method, where, media, key="")
        assert sent.status in ({401} if streams else {401, 413}), media
        assert sent.taken <= (0 if streams else MAX_JSON_BYTES + len(START + CHUNK)), media


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_with_a_key_nothing_is_read_beyond_the_limit(service: Service, method: str, path: str) -> None:
    """A form ends at the operator's limit for uploads, a part at its own size, everything else at 1 MiB."""
    where, has_body = concrete(service, path), takes_body(service, method, path)
    for media in TYPES:
        sent = send(service, method, where, media, KEY)
        most = OF_FORMS[path] + MAX_FIELD_BYTES + BLOCK_BYTES if path in OF_FORMS and media == FORM else MAX_JSON_BYTES
        assert sent.taken <= most + len(START + CHUNK), media
        assert sent.status in refusals(path, media) if has_body else sent.status < 500, (media, sent.status)


def refusals(path: str, media: str) -> set[int]:
    """How an operation with a body refuses one without end."""
    if path.endswith("/parts/{number}"):
        return {400}  # not the part's size
    return {413} if path not in OF_FORMS or media in {"application/json", FORM} else {415}


def test_the_headers_of_a_forms_part_are_bounded(service: Service) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="'
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": FORM}
    answer = service.client.post("/teachers", content=head + b"x" * MIB, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_multipart")


@pytest.mark.parametrize("path", [path for path, most in OF_FORMS.items() if most == MOST_UPLOAD])
def test_a_client_that_breaks_off_leaves_nothing_on_disk(service: Service, path: str) -> None:
    sent = send(service, "POST", path, FORM, KEY, gone_after=MIB)
    assert MIB < sent.taken < MOST_UPLOAD
    assert list(service.settings.incoming.iterdir()) == []
