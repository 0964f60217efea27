"""Files that become a teacher or a dataset: sent in one form where they are small, in parts where they are not."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

from client import uploads
from client.transport import Transport

FEW = 100
"""Files of one form: all of them are open while it is sent."""
FIELD_BYTES = 2**15
"""Characters of one field of a form: less than the service reads of one."""


def register(
    transport: Transport,
    path: str,
    files: Sequence[tuple[str, Path]],
    fields: Mapping[str, Any],
    labels: Mapping[str, str] | None,
    progress: uploads.Progress | None,
    lists: Collection[str] = (),
) -> Any:
    """The row that POST `path` makes of (role, file) pairs; the role `file` may come again. `lists`: roles that are
    lists of files, also of one, which a form cannot say."""
    body = {**fields, "labels": dict(labels or {})}
    again = len({role for role, _ in files}) < len(files)
    few = len(files) <= FEW and (again or not lists) and max(map(len, _form(body).values())) <= FIELD_BYTES
    if few and sum(file.stat().st_size for _, file in files) <= uploads.LARGE_BYTES:
        return _send_form(transport, path, files, body)
    purpose = path.strip("/").removesuffix("s")
    sent = [(role, uploads.upload(transport, file, purpose, progress)) for role, file in files]
    whole = [upload for role, upload in sent if role == "file" and role not in lists]
    body |= {role: upload for role, upload in sent if role != "file" and role not in lists}
    body |= {
        "upload" if role == "file" else role: [upload for other, upload in sent if other == role] for role in lists
    }
    if whole:
        body |= {"upload": whole[0]} if len(whole) == 1 else {"uploads": whole}
    return transport.request("POST", path, json=body, headers={"Idempotency-Key": uuid4().hex}).json()


def _send_form(transport: Transport, path: str, files: Sequence[tuple[str, Path]], body: Mapping[str, Any]) -> Any:
    form = _form(body)
    with ExitStack() as stack:
        parts = [(role, (file.name, stack.enter_context(file.open("rb")))) for role, file in files]
        return transport.request("POST", path, data=form, files=parts).json()


def _form(body: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
