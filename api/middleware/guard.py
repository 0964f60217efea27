"""The outermost layer: what no endpoint should ever see."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors.handlers import respond
from api.errors.problems import BadRequest, Forbidden, Problem
from store.settings import LOOPBACK, Settings

MAX_JSON_BYTES = 1 << 20
#: Who reads its body itself, piece by piece to disk, with its own bound, and only once it knows the caller.
_FORMS = frozenset({("POST", "/teachers"), ("POST", "/datasets")})
_PICTURES = re.compile(r"/jobs/[^/]+/predict")
_PART = re.compile(r"/uploads/[^/]+/parts/[^/]+")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Refuses NUL in URLs, large bodies that nobody streams and, where there are no keys, other people and their pages.

    Without keys the loopback address is the only protection, also where whoever started the server let it listen
    elsewhere (so the client must be this machine). A web page elsewhere can send requests there too: by a name that it
    points at 127.0.0.1 (so `Host` must be loopback) or across origins (so a write's `Origin` must be the service).
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.keyless = app, not settings.api_key.get_secret_value()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = _nul(scope) or (_foreign(scope, headers) if self.keyless else None)
        if problem is not None:
            await respond(scope["path"].replace("\0", "%00"), problem)(scope, receive, send)
            return
        await self.app(scope, receive if _streamed(scope, headers) else _bounded(receive), send)


def _streamed(scope: Scope, headers: Headers) -> bool:
    """Whether the endpoint streams and bounds the body itself. All others, of any type, are read whole by FastAPI, and
    before it looks at the key."""
    pictures = scope["method"] == "POST" and _PICTURES.fullmatch(scope["path"]) is not None
    if pictures or (scope["method"], scope["path"]) in _FORMS:
        return headers.get("content-type", "").lower().startswith("multipart/form-data")
    return scope["method"] == "PUT" and _PART.fullmatch(scope["path"]) is not None


def _nul(scope: Scope) -> Problem | None:
    # PostgreSQL text cannot hold NUL, and nothing that we have is named with one.
    if "\0" in scope["path"] or b"\0" in unquote_to_bytes(scope["query_string"]):
        return BadRequest("The URL holds a NUL character.", "Leave %00 out of the URL.")
    return None


def _foreign(scope: Scope, headers: Headers) -> Problem | None:
    if not _here(scope.get("client")):
        remedy = "Set RETORT_API_KEY to serve other machines."
        return Forbidden("Without keys this service answers to its own machine only.", remedy, code="client_not_local")
    hosts = headers.getlist("host")
    host = hosts[0] if len(hosts) == 1 else ""
    if _hostname(host) not in LOOPBACK:
        remedy = "Use http://127.0.0.1 or localhost, or set RETORT_API_KEY to serve other names."
        return Forbidden(
            f"Without keys this service answers to loopback names only, not {host!r}.", remedy, code="host_not_allowed"
        )
    origin = headers.get("origin")
    if scope["method"] not in SAFE and origin is not None and _netloc(origin) != host:
        remedy = "Send writes from the service's own pages, or from a program without an Origin header."
        return Forbidden(f"A page of {origin!r} may not write here.", remedy, code="origin_not_allowed")
    return None


def _here(client: tuple[str, int] | None) -> bool:
    """A socket of the file system has no client address; it is this machine's too."""
    try:
        return client is None or ipaddress.ip_address(client[0].partition("%")[0]).is_loopback
    except ValueError:  # a name, as in-process clients have
        return True


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _bounded(receive: Receive) -> Receive:
    total = 0

    async def bounded() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_JSON_BYTES:
            raise HTTPException(413, f"The body is larger than {MAX_JSON_BYTES} bytes.")
        return message

    return bounded
