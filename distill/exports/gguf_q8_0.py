"""GGUF for llama.cpp (.q8_0.gguf): a decoder with its tokenizer and prompt, weights in 8 bits by blocks of 32."""

from __future__ import annotations

from typing import Any, ClassVar

from distill.exports._gguf import Q8_0
from distill.exports.gguf import Gguf

PARAMETERS: dict[str, dict[str, Any]] = {}


class GgufQ80(Gguf):
    """llama.cpp's type Q8_0: a scale in fp16 for 32 weights of a row. Rows that no 32 divide stay in fp16. It rounds, so
    the test set says what it costs."""

    ending: ClassVar[str] = ".q8_0.gguf"
    tolerance: float | None = None
    weights: ClassVar[str] = Q8_0


ENTRY = GgufQ80
