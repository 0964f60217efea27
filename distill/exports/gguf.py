"""GGUF for llama.cpp (.gguf): a decoder with its tokenizer and prompt, weights in fp16."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from distill.export import Runner
from distill.exports._base import Exporter
from distill.exports._gguf import F16, PACKAGES, open_gguf, whole, write
from distill.exports._gguf_tokens import check_tokens
from distill.traced import Traced

PARAMETERS: dict[str, dict[str, Any]] = {}


class Gguf(Exporter):
    """The families and tokenizers that llama.cpp has. The same file in fp32 must have torch's logits and tokens; then
    its weights are rounded, and the rounded file's own tokens of test texts are compared once more.

    An fp16 number has 11 bits: **our choice** of 5 % of the largest logit, as of `onnx-fp16`."""

    takes: ClassVar[tuple[str, ...]] = ("decoder",)
    ending: ClassVar[str] = ".gguf"
    runtime: ClassVar[str] = "xllamacpp"
    packages: tuple[str, ...] = PACKAGES
    extra: ClassVar[str] = "gguf"
    tolerance: float | None = 5e-2
    format: ClassVar[str] = "gguf"
    weights: ClassVar[str] = F16
    use: ClassVar[tuple[str, str] | None] = (
        "import xllamacpp",
        "parameters = xllamacpp.CommonParams()\n"
        'parameters.model.path, parameters.n_ctx, parameters.n_parallel = "{file}", context, 1\n'
        "server = xllamacpp.Server(parameters)\n"
        'asked = {{"prompt": prompt, "n_predict": 64, "temperature": 0}}\n'
        'output = server.handle_completions(asked)["choices"][0]["text"]',
    )

    def __init__(self) -> None:
        super().__init__()
        self._facts = dict[str, Any]()

    def write(self, traced: Traced, path: Path) -> list[Path]:
        whole(traced, self.format)
        self._facts = write(traced, path, self.weights, self.format)
        return [path]

    def open(self, path: Path, threads: int) -> Runner:
        run: Runner = open_gguf(path, threads)
        return run

    def check(self, run: Any, traced: Traced, title: str) -> None:
        count = check_tokens(run.file, traced.graph.tokens, traced.graph.texts(), title)
        self._facts["texts_compared"] = count
        super().check(run, traced, title)

    def facts(self) -> dict[str, Any]:
        return self._facts


ENTRY = Gguf
