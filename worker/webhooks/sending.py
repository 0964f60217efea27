"""One try of one delivery: a signed POST to a pinned address, bounded in time and in what is read of the answer."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from store import signing
from store.egress import AsyncPinnedTransport, NameNotResolved, UrlRefused, resolve_and_pin
from store.repositories.outbox import Due
from store.sealing import SealBroken
from store.settings import Settings

ANSWER_BYTES = 1024
GONE = 410


@dataclass(frozen=True, slots=True)
class Try:
    """How it went. `status_code` None: no answer came, `error` says why."""

    status_code: int | None
    error: str | None
    answer: str = ""
    retry_after: float = 0.0

    @property
    def delivered(self) -> bool:
        return self.error is None and self.status_code is not None and 200 <= self.status_code < 300

    @property
    def gone(self) -> bool:
        return self.status_code == GONE

    def entry(self, started: datetime, seconds: float) -> dict[str, Any]:
        """A line of the delivery's log."""
        at = started.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        facts = {"status_code": self.status_code, "error": self.error, "answer": self.answer}
        return {"at": at, "seconds": round(seconds, 3)} | facts


async def send(settings: Settings, due: Due, trust: ssl.SSLContext, resolvers: Executor) -> tuple[Try, dict[str, Any]]:
    """Try once; how it went, and the line for the log. Raises nothing that the other end can cause. Names are resolved
    in `resolvers`: a server of names that is silent holds its thread for longer than the try."""
    started, clock = datetime.now(UTC), time.monotonic()
    try:
        # Over everything, the resolver and the last byte included: an endpoint that drips holds nobody up.
        async with asyncio.timeout(settings.webhook_timeout_seconds):
            done = await _post(settings, due, trust, resolvers)
    except TimeoutError:
        done = Try(None, f"no complete answer within {settings.webhook_timeout_seconds:g} s")
    except (UrlRefused, NameNotResolved, SealBroken) as error:
        done = Try(None, error.message)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        done = Try(None, f"{type(error).__name__}: {error}"[:300])
    return done, done.entry(started, time.monotonic() - clock)


async def _post(settings: Settings, due: Due, trust: ssl.SSLContext, resolvers: Executor) -> Try:
    if isinstance(due.secret, SealBroken):
        raise due.secret
    loop = asyncio.get_running_loop()
    target = await loop.run_in_executor(resolvers, resolve_and_pin, due.url, settings.webhook_policy)
    body = json.dumps(due.payload, separators=(",", ":")).encode()
    headers = {"content-type": "application/json", "user-agent": "Retort-Webhooks/1", "accept-encoding": "identity"}
    headers |= signing.headers(due.secret, due.id, int(time.time()), body)
    transport, limit = AsyncPinnedTransport(target, trust), settings.webhook_timeout_seconds
    async with (
        httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=limit) as client,
        client.stream("POST", due.url, content=body, headers=headers) as response,
    ):
        answer = await _beginning(response)
        error = "redirects are not followed" if response.is_redirect else None
        return Try(response.status_code, error, answer, _retry_after(response))


async def _beginning(response: httpx.Response) -> str:
    """As it comes, not unpacked: a compressed bomb stays what it is."""
    read = bytearray()
    async for chunk in response.aiter_raw():
        read += chunk
        if len(read) >= ANSWER_BYTES:
            break
    return bytes(read[:ANSWER_BYTES]).decode(errors="replace").replace("\0", "")


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() and len(value) < 9 else 0.0
