"""GGUF for llama.cpp (.q8_0.gguf): a decoder with its tokenizer and prompt, weights in 8 bits by blocks of 32."""

from __future__ import annotations

from typing import Any, ClassVar

from distill.exports._gguf import Q8_0
from distill.exports.gguf import Gguf

PARAMETERS: dict[str, dict[str, Any]] = {}


class GgufQ80(Gguf):
    """llama.cpp's type Q8_0: a scale in fp16 for 32 weights of a row. Rows that no 32 divide stay in fp16.

    llama.cpp rounds what such a matrix is multiplied with to 8 bits too. A sum that lies between two steps falls on one
    side or the other by the order of its terms, which depends on how many texts are computed together: a text alone had
    logits 2 % of the largest from those among others. **Our choice** of 25 % of the largest is five times what tiny
    random decoders lose against torch. What it costs the test set says.
    """

    ending: ClassVar[str] = ".q8_0.gguf"
    tolerance: float | None = 0.25
    format: ClassVar[str] = "gguf-q8-0"
    weights: ClassVar[str] = Q8_0


ENTRY = GgufQ80
