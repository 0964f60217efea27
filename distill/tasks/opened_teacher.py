"""One teacher of pictures, opened: its network, what is known of its classes, and how it sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distill.models import Preprocessing
from distill.tasks.network import Network
from distill.teacher_classes import Known
from distill.types import TeacherInput
from distill.warned import RunWarning


@dataclass(frozen=True)
class OpenedTeacher:
    """`assumed`: a warning of mean and std that nobody told; `told`: how it sees pictures, and who said so."""

    network: Network
    known: Known
    assumed: RunWarning | None
    told: str


def told_preprocessing(
    given: TeacherInput, how: Preprocessing, view: Mapping[str, Any], assumed: RunWarning | None
) -> str:
    """How the teacher sees pictures, and who said so, for people. `view`: as `distill.tasks.image_view` found it."""
    told = given.preprocessing.told() if given.preprocessing else {}
    said = f"told at registration: {', '.join(told)}" if told else "not told at registration"
    said += ", the rest by the header of its file" if view["origin"] == "header" else ""
    words = f"mean {list(how.mean)}, std {list(how.std)}, {how.size[0]} x {how.size[1]}, {how.channel_order}"
    return f"{words}; {said}" + (f". {assumed}" if assumed else "")
