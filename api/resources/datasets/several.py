"""Datasets of which a role came as several files, uploads or parts of a form: the shards of one split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from api.errors.problems import Unprocessable
from api.http.forms import invalid
from api.http.uploads import ReceivedFile
from api.resources.datasets import looking
from api.services import registration
from api.state.context import Context
from store.dataset_files import MOST, numbered
from store.formats import Format, detect
from store.shard_references import KIND
from store.tables import Upload

T = TypeVar("T")
F = TypeVar("F", Upload, ReceivedFile)
KINDS: Mapping[Format, str] = {"tar": KIND, "parquet": "parquet"}
"""Format of all files -> how they are read."""

TOLD = (
    "`classes` and `classes_from` say how plain tars (WebDataset) are read. Leave them out: other files name their "
    "classes themselves."
)


@dataclass(frozen=True, slots=True)
class Several(Generic[F]):
    """`files`: in their order, by their names as `Dataset.files` has them; `format`: that of all of them."""

    files: dict[str, F]
    format: Format

    @property
    def kind(self) -> str:
        """The dataset's."""
        return KINDS[self.format]


def of_uploads(
    context: Context, tenant: str, given: Mapping[str, Sequence[str]], *, told: bool = False
) -> Several[Upload]:
    """`given`: role -> ids of uploads; `told`: something was said of the classes of tars. Raises `Unprocessable` for an
    upload that is there twice, two of the same bytes in a role, a file that is no shard, and files of different
    formats; otherwise as `registration.find_upload`."""
    _check_once(given)
    with context.database.read() as session:
        found = {
            role: [
                registration.find_upload(session, tenant, upload_id, "dataset", pointer)
                for pointer, upload_id in _placed(role, ids, "upload")
            ]
            for role, ids in given.items()
        }
    return _of(found, "upload", told, lambda upload: looking.form(context, upload))


def of_form(given: Mapping[str, Sequence[ReceivedFile]], *, told: bool = False) -> Several[ReceivedFile]:
    """`given`: role -> parts of a form. Raises `Unprocessable` for more than `MOST` of a role, and otherwise as
    `of_uploads`."""
    for role, files in given.items():
        if len(files) > MOST:
            pointer = f"/{'file' if role == 'all' else role}"
            raise invalid(pointer, f"{len(files):,} files came; {MOST:,} are the most of a role.", "Send fewer files.")
    return _of(given, "file", told, lambda file: detect(file.path))


def _of(given: Mapping[str, Sequence[F]], whole: str, told: bool, form_of: Callable[[F], Format | None]) -> Several[F]:
    """`whole`: what requests call the role `all`."""
    forms = [
        (file, pointer, _form(form_of(file), file, pointer, told))
        for role, files in given.items()
        for pointer, file in _placed(role, files, whole)
    ]
    for role, files in given.items():
        _check_different(_placed(role, files, whole))
    first, _, form = forms[0]
    for file, pointer, other in forms:
        if other != form:
            raise _refused(
                pointer, f"{_called(file)} is {other}, and {_called(first)} is {form}",
                "Send all files in one format.", file,
            )  # fmt: skip
    named = {numbered(role, number): file for role, files in given.items() for number, file in enumerate(files)}
    return Several(named, form)


def _placed(role: str, items: Sequence[T], whole: str) -> Iterator[tuple[str, T]]:
    """Each with its place in the request."""
    field = whole if role == "all" else role
    return ((f"/{field}/{number}", item) for number, item in enumerate(items))


def _check_once(given: Mapping[str, Sequence[str]]) -> None:
    seen: set[str] = set()
    for role, ids in given.items():
        for pointer, upload_id in _placed(role, ids, "upload"):
            if upload_id in seen:
                raise invalid(pointer, f"Upload {upload_id} is there twice.", "Name each upload once.")
            seen.add(upload_id)


def _check_different(placed: Iterator[tuple[str, F]]) -> None:
    """Whoever sends a file twice in place of its neighbour would learn from it twice."""
    first: dict[str, F] = {}
    for pointer, file in placed:
        same = first.setdefault(str(file.sha256), file)
        if same is not file:
            what = f"{_called(file)} and {_called(same)} hold the same bytes"
            raise _refused(pointer, what, "Send each file once.", file)


def _form(found: Format | None, file: Upload | ReceivedFile, pointer: str, told: bool) -> Format:
    if found is None or found not in KINDS:
        what = f"{_called(file)} is {found or 'neither a tar nor parquet'}"
        remedy = "Of a list every file is a plain tar (WebDataset) or parquet; any other dataset is one file."
        raise _refused(pointer, what, TOLD if told else remedy, file)
    if told and found != "tar":
        raise _refused(pointer, f"{_called(file)} is {found}, and no tar", TOLD, file)
    return found


def _called(file: Upload | ReceivedFile) -> str:
    return f"{file.filename!r} ({file.id})" if isinstance(file, Upload) else repr(file.filename)


def _refused(pointer: str, what: str, remedy: str, file: Upload | ReceivedFile) -> Unprocessable:
    details: dict[str, Any] = {"upload": file.id} if isinstance(file, Upload) else {}
    return invalid(pointer, f"{what}.", remedy, "invalid_dataset", **details, filename=file.filename)
