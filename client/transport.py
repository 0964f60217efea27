"""Requests that are sent again where that is safe, and answers that are errors as exceptions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from client.errors import ProblemError, Unreachable, Unusable

TRIES = 4
PAUSE_SECONDS = 0.5
TIMEOUT = httpx.Timeout(30, read=330)  # a POST may wait 300 s for an inspection
LIMITED_SECONDS = 30.0
#: By code: the second as long as a POST may take, the third for minutes, since the service waits before each answer.
WAITS = {"rate_limited": 4, "idempotency_key_in_flight": 330, "students_not_counted": 10}
REMEDY = "Give the service's address as http://HOST:PORT."
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})


class Transport:
    """One service. Sends again what may be sent twice (GET, DELETE, and POST with an Idempotency-Key) when the
    connection breaks or the answer is 503. Raises `Unusable` for a URL that is none of HTTP, and for a key that no
    header can carry."""

    def __init__(self, url: str, api_key: str | None, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"Authorization": f"Bearer {_key(api_key)}"} if api_key else {}
        self.url = _checked(url).rstrip("/")
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=TIMEOUT, follow_redirects=True, transport=transport
        )

    def close(self) -> None:
        self._client.close()

    def request(self, method: str, path: str, repeatable: bool = False, **options: Any) -> httpx.Response:
        """The answer. Waits where the service says that we ask too often, or that it is still at our request.
        Raises `ProblemError` for 4xx and 5xx, `Unreachable`."""
        response, waits = self._repeated(method, path, repeatable, options), 0
        while waits < _waits(response):
            time.sleep(min(float(response.headers.get("Retry-After", 1)), LIMITED_SECONDS))
            response, waits = self._repeated(method, path, repeatable, options), waits + 1
        if response.is_error:
            raise ProblemError.of(response)
        return response

    def _repeated(self, method: str, path: str, repeatable: bool, options: dict[str, Any]) -> httpx.Response:
        repeatable = repeatable or method in REPEATABLE or "Idempotency-Key" in (options.get("headers") or {})
        tries = TRIES if repeatable else 1
        for left in range(tries - 1, -1, -1):
            response = self._once(method, path, left, options)
            if response is not None and (response.status_code != 503 or not left):
                break
            time.sleep(PAUSE_SECONDS * 2 ** (tries - 1 - left))
        assert response is not None
        return response

    def _once(self, method: str, path: str, left: int, options: dict[str, Any]) -> httpx.Response | None:
        try:
            return self._client.request(method, path, **options)
        except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            if not left:
                raise Unreachable(self.url, str(error) or type(error).__name__) from error
            return None
        except httpx.TimeoutException as error:
            raise Unreachable(self.url, "it takes too long") from error

    @contextmanager
    def stream(
        self, path: str, headers: dict[str, str], read_seconds: float, method: str = "GET", **options: Any
    ) -> Iterator[httpx.Response]:
        """An answer whose body is read as it comes. Raises `ProblemError`; httpx's errors while reading."""
        timeout = httpx.Timeout(30, read=read_seconds)
        with self._client.stream(method, path, headers=headers, timeout=timeout, **options) as response:
            if response.is_error:
                response.read()
                raise ProblemError.of(response)
            yield response


def _checked(url: str) -> str:
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Unusable(f"{url!r} is no URL ({error}).", REMEDY) from error
    if found.scheme in {"http", "https"} and found.host:
        return url
    remedy = REMEDY if "://" in url or not url else f"Write http://{url}, or https:// where the service has it."
    raise Unusable(f"{url!r} is no http:// or https:// URL.", remedy)


def _key(api_key: str) -> str:
    if not (api_key.isascii() and api_key.isprintable()):
        raise Unusable("The API key holds a line's end or a character beyond ASCII.", "Copy it again.")
    return api_key


def _waits(response: httpx.Response) -> int:
    """How often to ask again after what passes by itself: a rate limit (a quota is a 429 too, and may stay full for
    days), our own request, sent before on a connection that broke, that is still being answered, or a budget whose
    students a busy worker still counts."""
    if response.status_code not in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.CONFLICT}:
        return 0
    return WAITS.get(ProblemError.of(response).code, 0)
