"""What the tasks on images share of a forecast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from distill.estimate import SampleWork
from distill.pruned import BESIDE_BLOCKS, BLOCK_SHARES, FAMILY, RATIOS, architecture_of
from distill.recorded import recorded_view
from distill.tasks import accepting, spec
from distill.tasks.candidates import Chain, chains, family_of, unknown
from distill.tasks.forecast import Forecast, Parts, Question, Report, older
from distill.told import assumed
from distill.types import Architecture
from distill.warned import RunWarning, named

_REHEARSED = {"recipe", "recipe_parameters", "layers", "student_layers", "teacher_layers"}
CACHED_SIDE = 96  # up to this side, images of one size are decoded once (`distill.modalities.images.samples`)


class ImageForecast(Forecast):
    """Networks of pixels. `task`: which one's networks workers should build. `framed`: whether its labels have places,
    so that its students see what the teacher sees."""

    def __init__(self, task: str, framed: bool = False) -> None:
        self.task, self.framed = task, framed

    def cautions(self, parts: Parts) -> Iterator[RunWarning]:
        """Teachers that an earlier release inspected do not tell how they see."""
        for teacher in parts.teachers:
            view = teacher.get("preprocessing")
            found = assumed(view, native_size(parts.dataset)) if view and parts.dataset else None
            if found is not None:
                yield named(found, teacher.get("label", "") if len(parts.teachers) > 1 else "")

    def missing(self, parts: Parts) -> str:
        if parts.classes is None or not parts.dataset.get("counts"):
            return "The dataset's inspection has counted no samples."
        known = all({"in_channels", "num_classes"} <= teacher.keys() for teacher in parts.teachers)
        return "" if known else older("teacher")

    def questions(self, parts: Parts) -> dict[str, Question]:
        """The networks as the run would build them."""
        native = native_size(parts.dataset)
        about = {"task": self.task, "architecture": parts.student.model_dump(mode="json"), "num_classes": parts.classes}
        asked = {"student": about | _input(channels_of(parts.dataset), self.side(parts, native), native)}
        return asked | {
            "teacher" if number == 1 else f"teacher_{number}": self._teacher(teacher, native)
            for number, teacher in enumerate(parts.teachers, 1)
        }

    def rehearsal(self, parts: Parts) -> Question | None:
        """The recipe on the networks of `questions`, of several teachers the first. Settings that change neither are
        left out, so that jobs alike in these share an answer."""
        if self.missing(parts) or (parts.needs_teacher and not parts.teachers):
            return None
        asked, config = self.questions(parts), parts.config.model_dump(mode="json", include=_REHEARSED)
        teacher = asked["teacher"] if parts.needs_teacher else None
        together = {"config": config, "student": asked["student"], "teacher": teacher}
        return {"task": self.task, "architecture": asked["student"]["architecture"], "rehearsal": together}

    def side(self, parts: Parts, native: list[int] | None) -> int | str:
        """Of the student's input, as the run decides."""
        wanted, teacher = parts.config.image_size, parts.teacher if self.framed else None
        if wanted != "auto" or teacher is None or "preprocessing" not in teacher:
            return wanted
        view = teacher["preprocessing"]
        told = self._told_size(teacher) or view.get("origin") == "header" or native is None
        return int(view["size"][0]) if told else wanted

    def _teacher(self, teacher: Report, native: list[int] | None) -> Question:
        about = {"task": self.task, "architecture": teacher["architecture"], "num_classes": teacher["num_classes"]}
        return about | _input(teacher["in_channels"], self.teacher_side(teacher), native)

    def teacher_side(self, teacher: Report) -> int | str:
        """Of a teacher's input, where it was told or its file says it; else `auto`."""
        if self._told_size(teacher):
            return int(teacher["preprocessing"]["size"][0])
        recorded = recorded_view(teacher.get("metadata", {}), teacher.get("in_channels", 3))
        return int(recorded["size"][0]) if recorded else "auto"

    @staticmethod
    def _told_size(teacher: Report) -> bool:
        return bool(teacher.get("preprocessing", {}).get("size_told"))

    def students(
        self, parts: Parts, entries: Sequence[Mapping[str, Any]], families: Sequence[str] | None
    ) -> list[Chain]:
        if families is None or FAMILY not in families:
            return chains(self.task, entries, families)
        place = list(families).index(FAMILY)
        if len(parts.teachers) != 1 or not spec(self.task).prunes:
            able = [entry for entry in entries if self.task in accepting(entry["name"])]
            raise unknown(FAMILY, place, [family_of(entry) for entry in able])
        teacher = Architecture.model_validate(parts.teachers[0]["architecture"])
        others = [family for family in families if family != FAMILY]
        return [*_cut(teacher), *(chains(self.task, entries, others) if others else [])]

    def work(self, parts: Parts, counted: Mapping[str, Mapping[str, Any]], tested: int) -> SampleWork:
        return SampleWork(_pixels(parts.dataset))


def _cut(teacher: Architecture) -> Iterator[Chain]:
    """What can be cut out of a teacher, by channels, and for each share of its blocks by blocks and channels."""
    for blocks in (None, *BLOCK_SHARES):
        ratios = RATIOS if blocks is None else BESIDE_BLOCKS
        yield Chain(FAMILY, tuple(architecture_of(teacher, ratio, blocks=blocks) for ratio in ratios))


def _input(channels: int, image_size: int | str, native: list[int] | None) -> Question:
    return {"in_channels": channels, "image_size": image_size, "native_size": native}


def channels_of(report: Report) -> int:
    """As the run decides: 1 where all images are grey."""
    return 3 if report.get("modes", {}).get("colour") else 1


def native_size(report: Report) -> list[int] | None:
    """(h, w) where all images have it."""
    heights, widths = report.get("heights", [0, 0, 1]), report.get("widths", [0, 0, 1])
    uniform = heights[0] == heights[2] and widths[0] == widths[2]
    return [heights[0], widths[0]] if uniform else None


def _pixels(report: Report) -> int:
    """Bytes of one image that is kept decoded; larger ones are decoded when they are needed."""
    native = native_size(report)
    if native is None or max(native) > CACHED_SIDE:
        return 0
    return int(native[0] * native[1] * channels_of(report))
