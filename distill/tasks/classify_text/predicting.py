"""One class a text, or a pair of texts."""

from __future__ import annotations

from typing import Any

from distill.tasks._texts.predicting import TextPredicting, asked
from distill.tasks.prediction import Answer, Say, Writing, of_class, same_class, silent


class Classifiers(TextPredicting):
    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        text = asked(sample, network.preprocessing.form)
        return of_class(network.classes, network.probabilities([text])[0].tolist())

    def agreement(self, student: Answer, teacher: Answer) -> float:
        return same_class(student, teacher)


ENTRY = Classifiers()
