"""Request bodies that bring files: multipart streamed to disk with its sha256, or a small JSON object instead.

Memory stays flat: at most `BLOCK_BYTES` of a body are held, and parsing, hashing and writing happen in a thread.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, BinaryIO

from anyio import CancelScope
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from api.errors.bodies import compressed
from api.errors.problems import BadRequest, TooLarge, UnsupportedMediaType
from api.http.auth import TenantDep
from api.state.deps import ContextDep
from store.dataset_files import MOST
from store.settings import Settings

BLOCK_BYTES = 1 << 20
MAX_FIELD_BYTES = 1 << 16
MAX_PARTS = 32
MAX_REPEATED = 1100  # parts where a field of files may come again: the shards of one checkpoint
MAX_OF_ROLES = 3 * MOST + MAX_PARTS  # where three fields may: the shards of a dataset's splits


@dataclass
class ReceivedFile:
    """A file of the body, on disk and complete."""

    path: Path
    filename: str
    size_bytes: int
    sha256: str


@dataclass
class Upload:
    """A body that was read: `json` for a JSON one, else the form's fields and files by name; `more` holds the files
    behind the first of a name that came again."""

    json: Any = None
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, ReceivedFile] = field(default_factory=dict)
    more: dict[str, list[ReceivedFile]] = field(default_factory=dict)

    def all(self, name: str) -> list[ReceivedFile]:
        """Every file of this name, in the order of the body."""
        return [self.files[name], *self.more.get(name, [])] if name in self.files else []


def _receiver(
    most_parts: int, most_bytes: int | None = None
) -> Callable[[Request, ContextDep, TenantDep], AsyncIterator[Upload]]:
    async def receive(request: Request, context: ContextDep, tenant: TenantDep) -> AsyncIterator[Upload]:
        """Read the body; its files are gone when the endpoint returns. The key is checked before the first byte is."""
        packed = compressed(request.headers)
        if packed is not None:
            raise packed
        media, options = parse_options_header(request.headers.get("content-type", ""))
        if media == b"application/json":
            yield Upload(json=await _json(request))
        elif media == b"multipart/form-data" and options.get(b"boundary"):
            async with scratch(context.settings) as folder:
                limit = most_bytes or context.settings.max_upload_bytes
                form = _form(folder, options[b"boundary"], limit, most_parts)
                yield await _multipart(request, form)
        else:
            remedy = "Send multipart/form-data with the file, or application/json that names what is here already."
            raise UnsupportedMediaType("The body is neither multipart/form-data nor application/json.", remedy)

    return receive


def incoming(settings: Settings) -> TemporaryDirectory[str]:
    """A folder for a body on its way."""
    settings.incoming.mkdir(parents=True, exist_ok=True)
    return TemporaryDirectory(dir=settings.incoming)


@asynccontextmanager
async def scratch(settings: Settings) -> AsyncIterator[Path]:
    """The same in the event loop, which goes on while files of many GB are removed."""
    folder = await run_in_threadpool(incoming, settings)
    try:
        yield Path(folder.name)
    finally:
        with CancelScope(shield=True):  # a client that went away leaves nothing behind
            await run_in_threadpool(folder.cleanup)


UploadDep = Annotated[Upload, Depends(_receiver(MAX_PARTS), scope="function")]
#: The same for forms in which a field of files may come again.
UploadsDep = Annotated[Upload, Depends(_receiver(MAX_REPEATED), scope="function")]
RolesDep = Annotated[Upload, Depends(_receiver(MAX_OF_ROLES), scope="function")]


def received(most_bytes: int) -> Any:
    """The same as a dependency whose bodies have at most so many bytes, whatever the settings allow elsewhere."""
    return Depends(_receiver(MAX_REPEATED, most_bytes=most_bytes), scope="function")


async def _json(request: Request) -> Any:
    body = await request.body()
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        entry = {"type": "json_invalid", "loc": ("body", 0), "msg": "", "ctx": {"error": "not JSON"}}
        raise RequestValidationError([entry]) from error


def _form(folder: Path, boundary: bytes, max_bytes: int, most_parts: int) -> _Form:
    try:
        return _Form(folder, boundary, max_bytes, most_parts)
    except FormParserError as error:  # of a boundary of kilobytes
        raise _malformed(str(error)) from error


async def _multipart(request: Request, form: _Form) -> Upload:
    form.check_length(request.headers.get("content-length"))
    block = bytearray()
    try:
        async for chunk in request.stream():
            block += chunk
            if len(block) >= BLOCK_BYTES:
                await run_in_threadpool(form.feed, bytes(block))
                block.clear()
        await run_in_threadpool(form.feed, bytes(block))
        return form.finish()
    except FormParserError as error:
        raise _malformed(str(error)) from error
    finally:
        form.close()


class _Form:
    """Takes a multipart body apart as it comes."""

    def __init__(self, folder: Path, boundary: bytes, max_bytes: int, most_parts: int) -> None:
        self._folder, self._max_bytes, self._total = folder, max_bytes, 0
        self._repeated, self._most_parts = most_parts > MAX_PARTS, most_parts
        self._upload, self._parts, self._complete = Upload(), 0, False
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._headers: dict[bytes, bytes] = {}
        self._header_name, self._header_value, self._value = bytearray(), bytearray(), bytearray()
        self._name, self._filename = "", ""
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_end": self._on_end,
            },
        )

    def check_length(self, content_length: str | None) -> None:
        """Refuse before the first byte what says itself that it is too large (parts' headers take a little)."""
        if content_length and content_length.isdecimal() and int(content_length) > self._max_bytes + MAX_FIELD_BYTES:
            raise self._too_large()

    def feed(self, block: bytes) -> None:
        self._total += len(block)
        if self._total > self._max_bytes + MAX_FIELD_BYTES:
            raise self._too_large()
        self._parser.write(block)

    def finish(self) -> Upload:
        if not self._complete:
            raise _malformed("it ends before its last boundary")
        return self._upload

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > self._most_parts:
            raise _malformed(f"it has more than {self._most_parts} parts")
        self._headers, self._value, self._file = {}, bytearray(), None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name, self._header_value = bytearray(), bytearray()

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        twice = self._name in self._upload.files and not (self._repeated and b"filename" in options)
        if not self._name:
            raise _malformed("a part has no name")
        if self._name in self._upload.fields or twice:
            raise _malformed(f"{self._name!r} comes twice", "Send one part of each name.")
        if b"filename" in options:
            self._filename = options[b"filename"].decode("utf-8", "replace")
            self._digest = hashlib.sha256()
            self._file = (self._folder / f"part{self._parts}").open("wb")

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._file is not None:
            self._file.write(piece)
            self._digest.update(piece)
            return
        self._value += piece
        if len(self._value) > MAX_FIELD_BYTES:
            raise TooLarge(f"The field {self._name!r} is larger than {MAX_FIELD_BYTES} bytes.")

    def _end(self) -> None:
        if self._file is None:
            self._upload.fields[self._name] = self._text()
            return
        size, path = self._file.tell(), self._folder / f"part{self._parts}"
        self._file.close()
        filename = Path(self._filename.replace("\\", "/")).name.replace("\0", "")[:200]
        file = ReceivedFile(path, filename, size, self._digest.hexdigest())
        if self._name in self._upload.files:
            self._upload.more.setdefault(self._name, []).append(file)
        else:
            self._upload.files[self._name] = file

    def _text(self) -> str:
        try:
            return self._value.decode()
        except UnicodeDecodeError as error:
            remedy = "Send a file with its filename (-F file=@PATH); encode other fields as UTF-8."
            raise _malformed(f"the field {self._name!r} is not UTF-8", remedy) from error

    def _on_end(self) -> None:
        self._complete = True

    def _too_large(self) -> TooLarge:
        remedy = "Send a smaller file; where it is the service's limit the operator can raise RETORT_MAX_UPLOAD_BYTES."
        detail = f"The upload is larger than {self._max_bytes} bytes."
        return TooLarge(detail, remedy, details={"max_upload_bytes": self._max_bytes})


def _malformed(what: str, remedy: str = "Send it complete.") -> BadRequest:
    return BadRequest(f"The multipart body cannot be read: {what}.", remedy, code="malformed_multipart")
