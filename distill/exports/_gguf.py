"""A decoder as GGUF: the file in fp32 that the formats begin with, and the same weights rounded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch

from distill.exports._gguf_tokens import Vocabulary, check_tokens, vocabulary
from distill.exports._gguf_weights import add_configuration, check_family, weights
from distill.exports._llama_cpp import LlamaCpp
from distill.not_exportable import NotExportable
from distill.same_answers import check
from distill.traced import Traced

PACKAGES: tuple[str, ...] = ("gguf", "xllamacpp")
TOLERANCE = 1e-2
"""How far logits of the fp32 file may be from torch's, relative to the largest (**our choice**: llama.cpp keeps keys
and values in 16 bits, and reads GPT-2's activation from a table of 16 bits)."""
F32, F16, Q8_0 = "F32", "F16", "Q8_0"


def whole(traced: Traced, title: str) -> Path:
    """The decoder as GGUF in fp32, written once for all formats, with the same tokens and logits as in torch. Raises
    `ExportDiffers`, `NotExportable`, and what the libraries raise."""
    path = traced.folder / "whole.gguf"
    if not path.exists():
        try:
            write(traced, path, F32, title)
            run = open_gguf(path, torch.get_num_threads())
            check_tokens(run.file, traced.graph.tokens, (), title)
            check(run, traced.graph, traced.three(), TOLERANCE, title)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return path


def write(traced: Traced, path: Path, kind: str, title: str) -> dict[str, Any]:
    """Write the file with its matrices as `kind`, but what llama.cpp wants in fp32 (norms, biases, positions); what is
    told of it: `architecture`, `pre_tokenizer`, and `weights`, how many there are of each type. Raises `NotExportable`.
    """
    import gguf

    graph = traced.graph
    config: Any = graph.network.config
    check_family(config, title)
    told = vocabulary(graph.tokens, config.vocab_size, title)
    writer = gguf.GGUFWriter(path, config.model_type)
    try:
        writer.add_name(graph.title)
        kinds = gguf.LlamaFileType
        types = {F32: kinds.ALL_F32, F16: kinds.MOSTLY_F16, Q8_0: kinds.MOSTLY_Q8_0}
        writer.add_file_type(types[kind])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        add_configuration(writer, config)
        _add_vocabulary(writer, told, graph.template)
        count = Counter[str]()
        for name, values in weights(graph.network):
            own = _kind(name, values, kind)
            count[own.name] += values.size
            writer.add_tensor(name, gguf.quantize(values, own), raw_dtype=own)
        if kind not in count:
            raise _none(kind, title)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return {"architecture": config.model_type, "pre_tokenizer": told.pre, "weights": dict(count)}


def open_gguf(path: Path, threads: int) -> Any:
    """What `distill.export.DecoderGraph` runs."""
    from distill.export import DecoderRun

    return DecoderRun(LlamaCpp(path, threads))


def _kind(name: str, values: Any, wanted: str) -> Any:
    import gguf

    kinds = gguf.GGMLQuantizationType
    if values.ndim < 2 or wanted == F32 or name.startswith("position_embd"):
        return kinds.F32
    block, _ = gguf.GGML_QUANT_SIZES[kinds[wanted]]
    return kinds[wanted] if values.shape[-1] % block == 0 else kinds.F16


def _none(kind: str, title: str) -> NotExportable:
    return NotExportable(
        f"This student cannot be written as {title}: no row of its weights has a multiple of 32 numbers, which "
        f"{kind} wants.",
        "Ask for gguf, or give the student a width that 32 divides.",
        {"format": title, "operator": None},
    )


def _add_vocabulary(writer: Any, told: Vocabulary, template: str) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(told.pre)
    writer.add_token_list(told.tokens)
    writer.add_token_types(told.kinds)
    writer.add_token_merges(told.merges)
    adders = {"bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id, "pad": writer.add_pad_token_id}
    for name, number in told.special.items():
        adders[name](number)
    writer.add_add_bos_token("bos" in told.special)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    if template:
        writer.add_chat_template(template)
