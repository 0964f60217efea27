"""What networks answer, and how answers are compared with labels and with a teacher's: the seam between a task and
everything that trains or evaluates."""

from distill.answers.base import Answer, Compared, Distance
from distill.answers.classes import ClassAnswer
from distill.answers.outputs import logits_of
from distill.answers.regions import Regions

__all__ = ["Answer", "ClassAnswer", "Compared", "Distance", "Regions", "logits_of"]
