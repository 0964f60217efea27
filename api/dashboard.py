"""Serves the built dashboard under /ui/ (docs/decisions/0009) and the API's documentation at /docs; without a build
the API is as it was."""

from __future__ import annotations

import mimetypes
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

#: Where `make web` leaves it in a checkout.
BUILT = Path(__file__).resolve().parent.parent / "web" / "dist"
INDEX, DOCS = "index.html", "docs/index.html"
ASSETS = "assets/"  # Vite puts a hash of the content into these files' names: a name never changes its content

# Everything comes from here, but for what uploads go to. `blob:` is what pictures are exported and fetched through.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' blob: data:; "
    "connect-src {connect}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_DOCUMENT = "<!doctype html><title>Retort: the HTTP API</title><p><a href=/openapi.json>/openapi.json</a></p>"
FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


def headers_of(store_url: str) -> dict[str, str]:
    """Of every page. `store_url`: where clients reach the object store; presigned parts of uploads go there."""
    url = urlsplit(store_url)
    connect = f"'self' {url.scheme}://{url.netloc}" if store_url else "'self'"
    return {
        "Content-Security-Policy": _POLICY.format(connect=connect),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def mount_docs(app: FastAPI, folder: Path = BUILT) -> None:
    """`/docs`: the API to try in a browser, from the build (no CDN); without one a link to the document."""

    def docs() -> Response:
        if (folder / DOCS).is_file():
            return RedirectResponse(f"/ui/{DOCS}", status_code=307, headers={"Cache-Control": ASK_AGAIN})
        return Response(_DOCUMENT, media_type="text/html", headers=headers_of("") | {"Cache-Control": ASK_AGAIN})

    app.add_api_route("/docs", docs, methods=["GET"], include_in_schema=False, response_class=Response)


def mount_dashboard(app: FastAPI, folder: Path = BUILT, store_url: str = "") -> bool:
    """Add `/ui/` and a redirect from `/` to `app` if `folder` holds a build; whether it does.

    Pages are the browser's to tell apart: a path under /ui/ that is no file is answered with index.html, but for
    what must be a file (under assets/, or with a suffix), which is 404.
    """
    folder, serve = folder.resolve(), partial(_answer, headers=headers_of(store_url))
    if not (folder / INDEX).is_file():
        return False

    def root(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            raise HTTPException(404)
        return RedirectResponse("/ui/", status_code=307, headers={"Cache-Control": ASK_AGAIN, "Vary": "Accept"})

    def bare() -> Response:
        return RedirectResponse("/ui/", status_code=308)

    def page(request: Request, path: str = "") -> Response:
        return serve(request, folder, path)

    for route, endpoint in (("/", root), ("/ui", bare), ("/ui/{path:path}", page)):
        app.add_api_route(route, endpoint, methods=["GET"], include_in_schema=False, response_class=Response)
    return True


def _answer(request: Request, folder: Path, path: str, headers: dict[str, str]) -> Response:
    file = (folder / path).resolve()
    if not file.is_relative_to(folder) or "\\" in path:
        raise HTTPException(404)
    if not file.is_file():
        if path.startswith(ASSETS) or Path(path).suffix:
            raise HTTPException(404)
        file = folder / INDEX
    headers = headers | {"Cache-Control": FOREVER if path.startswith(ASSETS) else ASK_AGAIN, "Vary": "Accept-Encoding"}
    return _file(request, file, headers)


def _file(request: Request, file: Path, headers: dict[str, str]) -> Response:
    """The file, or the compressed copy that the build left beside it; 304 for who has it."""
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    packed = file.with_name(file.name + ".gz")
    if "gzip" in request.headers.get("accept-encoding", "") and packed.is_file():
        file, headers = packed, headers | {"Content-Encoding": "gzip"}
    stat = file.stat()
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers | {"ETag": etag})
    return FileResponse(file, media_type=media_type, headers=headers | {"ETag": etag}, stat_result=stat)
