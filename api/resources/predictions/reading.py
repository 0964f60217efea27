"""A request's body, as JSON or as a form with pictures, to what a predictor is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.errors.problems import TooLarge
from api.http.forms import form_fields, invalid, only, parsed
from api.http.uploads import Upload
from api.resources.predictions.schemas import (
    MOST_INPUTS,
    MOST_PICTURE_BYTES,
    Message,
    Options,
    Picture,
    PredictRequest,
)

FILE = "file"
_OPTIONS = frozenset(Options.model_fields)


@dataclass(frozen=True)
class Asked:
    """`texts`: samples of JSON, or `pictures`: files' bytes; never both."""

    options: Options
    texts: list[Any]
    pictures: list[bytes]

    def request(self) -> dict[str, Any]:
        """What the worker reads."""
        return {
            "texts": self.texts,
            "sizes": [len(each) for each in self.pictures],
            "teacher": self.options.teacher,
            "writing": self.options.writing,
        }


def read(upload: Upload) -> Asked:
    """Raises `RequestValidationError`, `Unprocessable`, `TooLarge`."""
    return _of_form(upload) if upload.json is None else _of_json(parsed(PredictRequest, upload.json))


def _of_json(body: PredictRequest) -> Asked:
    pictures = [each.image for each in body.inputs if isinstance(each, Picture)]
    if pictures and len(pictures) < len(body.inputs):
        raise invalid("/inputs", "The inputs are pictures and texts at once.", "Send either.")
    _check_sizes(pictures)
    texts = [] if pictures else [_plain(each) for each in body.inputs]
    return Asked(body, texts, pictures)


def _plain(sample: Any) -> Any:
    if isinstance(sample, list):
        return [_plain(each) for each in sample]
    return sample.model_dump() if isinstance(sample, Message) else sample


def _of_form(upload: Upload) -> Asked:
    only(upload, frozenset({FILE}))
    options = parsed(Options, form_fields(upload, _OPTIONS))
    files = upload.all(FILE)
    if not files:
        raise invalid(f"/{FILE}", "The form has no picture.", f"Send one to {MOST_INPUTS} files as `{FILE}`.")
    if len(files) > MOST_INPUTS:
        raise invalid(f"/{FILE}", f"The form has {len(files)} pictures.", f"Send {MOST_INPUTS} at most.")
    pictures = [each.path.read_bytes() for each in files]
    _check_sizes(pictures)
    return Asked(options, [], pictures)


def _check_sizes(pictures: Sequence[bytes]) -> None:
    for position, each in enumerate(pictures):
        if len(each) > MOST_PICTURE_BYTES:
            raise TooLarge(
                f"Picture {position} has {len(each):,} bytes, more than {MOST_PICTURE_BYTES:,}.",
                "Send a smaller one.",
                details={"input": position, "most_bytes": MOST_PICTURE_BYTES},
            )
