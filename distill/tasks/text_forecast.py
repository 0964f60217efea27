"""What the tasks on texts share of a forecast: lengths in tokens, guessed from the words that the inspection counted,
since the tokenizer is the teacher's and has not seen the texts yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, ClassVar

from distill import own_vocabulary
from distill.errors import InvalidConfig
from distill.estimate import SampleWork
from distill.pruned import FAMILY, Pruning
from distill.tasks.candidates import Chain, cut, cut_by, shrunk, unknown
from distill.tasks.forecast import Forecast, Misfit, Parts, Question, Report, older
from distill.types import Architecture, DistillConfig

#: Of one word or punctuation mark (our choice; tokenizers make 1.1 to 1.5), and special tokens of a text.
TOKENS_PER_WORD, SPECIAL_TOKENS = 1.3, 3
SAME = "transformers:auto"  # as the catalogue calls the teacher's family
VOCABULARY = "/student/options/vocab_size"
MULTIPLE, MOST_TOKENS = 8, 512  # of `max_length: auto`
EVALUATION_BATCH = 256
ALIVE = 3  # outputs of the widest module that are alive at once where no gradient is kept
ROW_BYTES = 200  # of a text as Python objects, beside its characters


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a training text: on average as it is fed, and `max_length` as it will be."""

    mean: int
    most: int


def lengths(report: Report, config: DistillConfig) -> Lengths:
    """By the words that the inspection counted."""
    given = config.max_length
    automatic = min(MOST_TOKENS, MULTIPLE * ceil(_tokens(report["words_99"]) / MULTIPLE))
    most = automatic if given == "auto" else given
    return Lengths(min(most, ceil(_tokens(report["mean_words"]))), most)


def _tokens(words: float) -> float:
    return TOKENS_PER_WORD * words + SPECIAL_TOKENS


class TextForecast(Forecast):
    """Networks of tokens. `task`: which one's networks workers should build."""

    reduces: ClassVar[bool] = False
    """Whether a student may have a vocabulary of its own."""
    notes = ("Lengths in tokens are guessed from the words of the texts; the tokenizer has not seen them yet.",)

    def __init__(self, task: str) -> None:
        self.task = task

    def misfits(self, parts: Parts) -> Iterator[Misfit]:
        """What the student's own vocabulary cannot be, by the teacher's inspection."""
        size = parts.student.options.get("vocab_size")
        if not isinstance(size, int) or parts.teacher is None:
            return
        error = self._vocabulary_error(size, parts.teacher, parts.config)
        if error is not None:
            pointer = "/config/text_features" if error.details["field"] == "text_features" else VOCABULARY
            yield Misfit(pointer, error.message, error.remedy, error.code, error.details)

    def _vocabulary_error(self, size: int, teacher: Report, config: DistillConfig) -> InvalidConfig | None:
        least, most = teacher.get("smallest_vocabulary"), teacher.get("vocabulary")
        if not self.reduces:
            return own_vocabulary.of_a_decoder()
        if least == 0:
            return own_vocabulary.not_reducible()
        if least is not None and size < least:
            return own_vocabulary.too_few(size, least)
        if most is not None and size > most:
            return own_vocabulary.too_many(size, most)
        return own_vocabulary.tokens_apart() if config.text_features == "tokens" else None

    def missing(self, parts: Parts) -> str:
        if "config" not in (parts.teacher or {}):
            return older("teacher")
        return "" if parts.dataset.get("mean_words") else older("dataset")

    def headed(self, parts: Parts) -> bool:
        """Whether the teacher answers as it is; a base is only started from, and is no teacher."""
        raise NotImplementedError

    def questions(self, parts: Parts) -> dict[str, Question]:
        assert parts.teacher is not None
        about = lengths(parts.dataset, parts.config)
        base = {
            "task": self.task, "config": parts.teacher["config"], "num_classes": parts.classes or 0,
            "mean_length": about.mean, "max_length": about.most,
        }  # fmt: skip
        student = {"student": parts.student.model_dump(mode="json"), "recipe": parts.config.recipe}
        return {"student": base | student} | ({"teacher": base} if self.headed(parts) else {})

    def students(
        self, parts: Parts, entries: Sequence[Mapping[str, Any]], families: Sequence[str] | None
    ) -> list[Chain]:
        """Of the teacher's family, which its tokenizer and its students share; `pruned`: cut out of the teacher."""
        assert parts.teacher is not None
        own = [f"transformers:{parts.teacher['family']}", SAME]
        for number, family in enumerate(families or ()):
            if family not in (*own, FAMILY):
                raise unknown(family, number, [*own, FAMILY])
        found = list(cut(parts.teacher, own[0])) if FAMILY in (families or ()) else []
        if families is None or set(families) & set(own):
            reduced = self.reduces and parts.config.text_features != "tokens"
            found += shrunk(parts.teacher, own[0], reduced)
        return found

    def pruned(self, teacher: Report, architecture: Architecture, how: Pruning) -> Architecture:
        """By options of the teacher's family, whose most important units and heads and every n-th block the run takes:
        a student as wide as its teacher starts from it."""
        if how.importance != "magnitude":
            raise InvalidConfig(
                "Language models have no batch norms whose scales could say which units stay.",
                "Use the importance magnitude.",
                {"field": "student", "importance": how.importance},
            )
        if "config" not in teacher:
            raise InvalidConfig(older("teacher"), "Register the teacher again.", {"field": "student"})
        return cut_by(teacher, SAME, how)

    def work(self, parts: Parts, counted: Mapping[str, Mapping[str, Any]], tested: int) -> SampleWork:
        alive = ALIVE * min(tested, EVALUATION_BATCH) * widest(counted)
        return SampleWork(kept_bytes(parts), features(counted), evaluation_bytes=alive)

    def fed(self, dataset: Report) -> float:
        """A report tells a text's operations at `max_length`; most are shorter."""
        return float(dataset["mean_tokens"] / dataset["max_length"])


def kept_bytes(parts: Parts) -> int:
    """Of one text with its tokens, in memory."""
    return 4 * lengths(parts.dataset, parts.config).mean + int(6 * parts.dataset["mean_words"]) + ROW_BYTES


def widest(counted: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of the largest output of a module in any of the networks, of one text."""
    return max(int(cost["widest_bytes"]) for cost in counted.values())


def features(counted: Mapping[str, Mapping[str, Any]]) -> int:
    """What is scored of one text: the teacher's, or those of the network that it is started from."""
    return int(counted.get("teacher", counted["student"])["features"])
