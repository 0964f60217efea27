"""How uvicorn serves the API, the same alone and embedded."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

#: Seconds until an idle connection is closed. uvicorn's own 5 close it under clients and proxies that are about to use
#: it again: they then see a reset connection, and a proxy answers 502. So it is longer than the 60 s of the usual
#: proxies and load balancers, which close first.
KEEP_ALIVE_SECONDS = 75
#: Seconds for what is being answered when the server is told to end; event streams go on until a client leaves them.
#: Shorter than the 30 s that compose and Kubernetes wait.
GRACEFUL_SECONDS = 20


def configured(
    app: FastAPI, host: str = "127.0.0.1", port: int = 8000, graceful: int = GRACEFUL_SECONDS
) -> uvicorn.Config:
    """The address is that of the server's own socket; a server that is given one listens there."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=graceful,
    )
