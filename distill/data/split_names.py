"""What folders, files and table cells call a split: one reading of names for all of them.

A name says a split where one of its words does (`train`, `Test_data`, `seg_val`, `trainImages`, `val2017`). What is
left of it decides how sure that is. Nothing, or words that any folder of data may have (`set`, `images`), is sure. A
word of its own (`bullet_train`) is not, unless another name says another split with it (`seg_train`, `seg_test`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

TRAIN, TEST, VALIDATION = "train", "test", "validation"
UNLABELLED, PREDICTION = "unlabelled", "prediction"
CLASSLESS = frozenset({UNLABELLED, PREDICTION})
"""Splits whose rows need no class: to learn from without labels, and to be predicted, which nothing uses."""
_SAID = {
    TRAIN: ("train", "training", "trainval"),
    TEST: ("test", "testing"),
    VALIDATION: ("val", "valid", "validation", "dev", "eval", "evaluation"),
    UNLABELLED: ("unlabeled", "unlabelled", "unsupervised"),
    PREDICTION: ("pred", "predict", "prediction", "predictions"),
}
_GLUED = ("", "set", "data", "dataset", "images", "imgs")  # trainset, testdata
WORDS: Mapping[str, str] = MappingProxyType(
    {word + end: split for split, words in _SAID.items() for word in words for end in _GLUED}
)
"""Word -> the split that it says. What is to be predicted is never used; what is `unlabelled` trains students of
pictures."""
EXACT = frozenset({TRAIN, "training", TEST, "testing", "val", "valid", VALIDATION})
"""What says a split alone and in full: a class of this name is rare, so nothing else need speak for it."""
MEDICAL: Mapping[str, str] = MappingProxyType(
    {
        word + end: split
        for word in ("images", "labels")
        for end, split in (("tr", TRAIN), ("ts", TEST), ("va", VALIDATION))
    }
)
"""Folders of the Medical Segmentation Decathlon and nnU-Net: `imagesTr` beside `labelsTr` and `imagesTs`."""
NEUTRAL = frozenset(
    {"data", "dataset", "set", "split", "part", "partition", "subset", "folder", "dir", "all", "of", "the", "raw"}
    | {"image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "jpg", "png", "jpeg"}
    | {"file", "files", "sample", "samples", "example", "examples", "text", "texts", "label", "labels", "metadata"}
)
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Meaning:
    """`split` as `WORDS` has it; `rest`: the name's other words, without neutral ones and numbers; `exact`: the name
    is that one word."""

    split: str
    rest: tuple[str, ...]
    exact: bool


def meaning(name: str) -> Meaning | None:
    """What `name` says of a split, None where none of its words or words of several splits do."""
    if split := MEDICAL.get(_plain(name).strip().casefold()):
        return Meaning(split, (), False)
    words = [word.casefold() for part in _WORD.findall(_plain(name)) for word in _CAMEL.split(part)]
    said = {WORDS[word] for word in words if word in WORDS}
    if said == {TRAIN, VALIDATION}:  # `train_val`: both, to train on
        said = {TRAIN}
    if len(said) != 1:
        return None
    rest = tuple(sorted(word for word in words if word not in WORDS and word not in NEUTRAL))
    return Meaning(said.pop(), rest, _plain(name).strip().casefold() in EXACT)


def words(name: str) -> frozenset[str]:
    """A name's words, in small letters."""
    return frozenset(word.casefold() for part in _WORD.findall(_plain(name)) for word in _CAMEL.split(part))


def split_of(name: str) -> str | None:
    """The split of a name that surely says one, by itself: `train`, `Training`, `test_set`, `val2017`, `dev`."""
    found = meaning(name)
    return found.split if found and not found.rest else None


def splits_among(names: Iterable[str]) -> dict[str, Meaning]:
    """Those of names that stand beside each other which say a split: surely, or as one of a pair (`seg_train` beside
    `seg_test`)."""
    found = {name: said for name in names if (said := meaning(name))}
    groups: dict[tuple[str, ...], set[str]] = {}
    for said in found.values():
        groups.setdefault(said.rest, set()).add(said.split)
    return {name: said for name, said in found.items() if not said.rest or len(groups[said.rest]) > 1}


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)
