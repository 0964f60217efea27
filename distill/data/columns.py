"""Which column of a table says what: one list of names for CSV, JSON Lines and parquet, of images and of texts.

Names count in any case, with or without `_`, `-` and spaces between their words, composed or decomposed: `Class Name`,
`className` and `class_name` are one. Of several names the first in the list counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

LABELS = (
    *("label", "labels", "class", "class_name", "category", "target", "label_name", "category_name", "class_label"),
    *("fine_label", "classes", "class_id", "label_id", "category_id", "sentiment", "emotion", "intent", "topic"),
    *("diagnosis", "species", "breed"),
)
SPLITS = ("split", "subset", "partition")
PERHAPS_SPLITS = ("data_split", "split_name", "set", "data_set", "dataset", "fold", "phase", "usage", "stage")
"""Split columns where the first row says a split, and something else where it does not (a fold's number)."""
FLAGS = {
    "is_train": "train", "is_training": "train", "is_training_image": "train", "is_test": "test",
    "is_valid": "validation", "is_val": "validation", "is_validation": "validation",
}  # fmt: skip
"""Columns of yes and no -> the split that yes says."""
EMBEDDED = ("image", "img", "image_base64", "image_bytes", "data")
PATHS = (
    *("file_name", "filename", "image", "img", "path", "file", "image_path", "filepath", "image_name", "img_name"),
    *("image_file", "image_filename", "img_path", "image_id", "img_id", "id_code", "name", "id"),
)
TEXT = (
    *(
        "text",
        "sentence",
        "content",
        "document",
        "review",
        "tweet",
        "message",
        "comment",
        "review_text",
        "comment_text",
    ),
    *("tweet_text", "body", "utterance", "query", "question", "headline", "description", "statement", "title"),
)
PAIRS = (
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
)
CHATS = ("messages", "conversations", "conversation")
INSTRUCTION, ANSWER, EXTRA = ("instruction", "prompt"), ("output", "response", "completion"), ("input",)
_BETWEEN = re.compile(r"[\s_\-]+")
_INDEX = re.compile(r"unnamed:\d+|index|idx|indexlevel\d+|id|rowid")


def key(name: str) -> str:
    """By which column names are compared."""
    return _BETWEEN.sub("", unicodedata.normalize("NFC", name).casefold())


def find(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The column, as the table writes it, of the first of `names` that it has; None where it has none."""
    return next(iter(found(columns, names)), None)


def found(columns: Iterable[str], names: Sequence[str]) -> list[str]:
    """All columns that `names` has, in its order."""
    known = {key(column): column for column in reversed(list(columns))}
    return [known[name] for name in dict.fromkeys(map(key, names)) if name in known]


def is_index(column: str) -> bool:
    """Whether a column only counts rows, so that nobody misses it."""
    return _INDEX.fullmatch(key(column)) is not None
