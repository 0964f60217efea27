"""An answer to an instruction or a conversation, written token by token."""

from __future__ import annotations

from typing import Any

import torch

from distill.modalities.text.prompts import prompt
from distill.tasks._texts.generation import written
from distill.tasks._texts.predicting import TextPredicting, asked
from distill.tasks.network import Network
from distill.tasks.prediction import Answer, Say, Writing, silent


class Decoders(TextPredicting):
    def answer(self, network: Any, sample: Any, writing: Writing, say: Say = silent) -> Answer:
        """`ending`: `stop` where the network ended its answer, `length` where `max_tokens` or its positions did."""
        how = network.preprocessing
        asked_of = prompt(asked(sample, how.form), how.form)
        of = Network(network.model, network.architecture, how, tokens=network.tokens)
        text, tokens, ended = written(of, asked_of, torch.device("cpu"), writing, say)
        return {"kind": "text", "text": text, "tokens": tokens, "ending": "stop" if ended else "length"}

    def agreement(self, student: Answer, teacher: Answer) -> float:
        """The F-measure of ROUGE-L of the student's text to the teacher's (rouge-score, no stemming); 1 of equal
        texts."""
        if student["text"] == teacher["text"]:
            return 1.0
        from rouge_score.rouge_scorer import RougeScorer

        found = RougeScorer(["rougeL"], use_stemmer=False).score(teacher["text"], student["text"])
        return float(found["rougeL"].fmeasure)


ENTRY = Decoders()
