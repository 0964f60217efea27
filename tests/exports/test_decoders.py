"""What formats of decoders rest on, without their runtime: every token's logits, answers, and names of tokenizers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor

from distill import exports, tasks
from distill.export import DecoderGraph, DecoderRun, EveryToken
from distill.exports._gguf_tokens import NORMAL, UNUSED, check_tokens, vocabulary
from distill.layers.forward import forward
from distill.modalities.text.loader import KEPT
from distill.modalities.text.prompts import prompt, template
from distill.models.language import Tokens, load, open_folder
from distill.not_exportable import NotExportable
from distill.same_answers import ExportDiffers, check, difference_on
from distill.tasks._texts.generation import generate
from distill.tasks.network import Network
from distill.traced import Traced
from tests.language import byte_level, tiny


class InTorch:
    """A decoder's file whose runtime is torch: each row alone, without padding."""

    def __init__(self, network: Any, tokens: Tokens) -> None:
        self.network, self.own = network, tokens

    def tokenise(self, text: str, whole: bool = False) -> list[int]:
        begin = [] if self.own.bos is None or not whole else [self.own.bos]
        return begin + self.own.plain([text])[0]

    def logits(self, rows: Sequence[Sequence[int]], wanted: Sequence[Sequence[bool]]) -> Tensor:
        return torch.cat([self._of(row)[torch.tensor(at)] for row, at in zip(rows, wanted, strict=True)])

    def greedy(self, rows: Sequence[Sequence[int]], count: int, end: int | None) -> list[list[int]]:
        return [self._answer(list(row), count, end) for row in rows]

    @torch.no_grad()
    def _of(self, row: Sequence[int]) -> Tensor:
        found: Tensor = self.network(input_ids=torch.tensor([list(row)])).logits[0]
        return found

    def _answer(self, row: list[int], count: int, end: int | None) -> list[int]:
        found = list[int]()
        while len(found) < count and (not found or found[-1] != end):
            found.append(int(self._of([*row, *found])[-1].argmax()))
        return found


class Backwards(InTorch):
    """As a file whose positions were turned round."""

    def _of(self, row: Sequence[int]) -> Tensor:
        return super()._of(row[::-1])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Tokens]:
    folder = open_folder(byte_level.save("llama", tmp_path_factory.mktemp("llama")), tmp_path_factory.mktemp("scratch"))
    network, _ = load(folder, "generate", ())
    return network, Tokens.load(folder, network.config)  # type: ignore[arg-type]


def batch(tokens: Tokens, texts: Sequence[str]) -> dict[str, Tensor]:
    rows = tokens.plain(texts)
    longest = max(map(len, rows))
    ids = torch.tensor([row + [tokens.pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    kept = mask.bool() & (torch.arange(longest) % 2 == 0)
    return {"input_ids": ids, "attention_mask": mask, KEPT: kept}


@pytest.fixture
def graph(made: tuple[Any, Tokens]) -> DecoderGraph:
    network, tokens = made
    example = {name: value for name, value in batch(tokens, ["a", "b c"]).items() if name != KEPT}
    return DecoderGraph(EveryToken(network), example, "tokens", "logits", tokens=tokens)


TEXTS = ["The quick brown fox", "it's", "12 \U0001f600"]


def test_every_token_is_compared_and_no_padding(graph: DecoderGraph) -> None:
    given = batch(graph.tokens, TEXTS)
    run = DecoderRun(InTorch(graph.network, graph.tokens))
    real = graph.encode(given)
    assert len(run(real)) == int(given["attention_mask"].sum())
    check(run, graph, real, 1e-3, "f")
    found = difference_on(run, graph, [given], "f")
    assert found["n"] == 3
    assert found["value"] < 1e-3
    with pytest.raises(ExportDiffers):
        check(DecoderRun(Backwards(graph.network, graph.tokens)), graph, real, 1e-3, "f")


def test_three_samples_of_batches_of_their_own_length(graph: DecoderGraph, tmp_path: Path) -> None:
    def samples(count: int) -> Iterator[Any]:
        return (graph.encode(batch(graph.tokens, [text])) for text in TEXTS[: min(count, 2)])

    three = Traced(graph, samples, tmp_path).three()
    assert len(three["input_ids"]) == 3
    assert torch.equal(three["input_ids"][0], three["input_ids"][2])  # of two the first comes again
    lengths = [len(graph.tokens.plain([text])[0]) for text in TEXTS[:2]]
    assert three["attention_mask"].sum(1).tolist() == [*lengths, lengths[0]]
    assert len(Traced(graph, lambda _: iter(()), tmp_path).three()["input_ids"]) == 3


def test_evaluation_reads_the_file_in_the_networks_place(graph: DecoderGraph) -> None:
    given = batch(graph.tokens, TEXTS)
    served = graph.served(DecoderRun(InTorch(graph.network, graph.tokens)), graph.network)
    wanted = graph.network(**{name: given[name] for name in ("input_ids", "attention_mask")}).logits[given[KEPT]]
    torch.testing.assert_close(forward(served, given), wanted)
    assert served.config is graph.network.config
    from distill.modalities.text import TextPreprocessing
    from distill.types import Architecture

    how = TextPreprocessing(64, graph.network.config.vocab_size, False, "generate", "last", "instructions")
    network = Network(graph.network, Architecture(name="transformers:llama"), how, tokens=graph.tokens)
    cpu = torch.device("cpu")
    assert generate(replace(network, module=served), TEXTS, cpu, 8) == generate(network, TEXTS, cpu, 8)


@pytest.mark.parametrize("kind", ["gpt-2", "smollm", "qwen2", "llama-bpe"])
def test_ways_of_splitting_have_llama_cpps_names(kind: str, tmp_path: Path) -> None:
    folder = open_folder(byte_level.save("llama", tmp_path / "f", kind), tmp_path)
    network, _ = load(folder, "generate", ())
    config: Any = network.config
    tokens = Tokens.load(folder, config)
    told = vocabulary(tokens, config.vocab_size, "gguf")
    assert told.pre == kind
    assert len(told.tokens) == len(set(told.tokens)) == config.vocab_size
    assert told.kinds.count(UNUSED) == 5
    assert told.kinds[:2] == [3, 3]
    assert told.kinds[tokens.tokenizer.token_to_id("<tool>")] == 4
    assert told.kinds.count(NORMAL) == config.vocab_size - 8
    assert told.special == {"bos": 1, "eos": 0, "pad": 0}
    assert check_tokens(InTorch(network, tokens), tokens, TEXTS, "gguf") > len(TEXTS)


def spoilt(**changes: Any) -> Tokenizer:
    own = byte_level.tokenizer("gpt-2")
    for name, value in changes.items():
        setattr(own, name, value)
    return own


ODD = {
    "WordLevel": tiny.tokenizer(decoder=True),
    "NFKC": spoilt(normalizer=normalizers.NFKC()),
    "space before": spoilt(pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "no name": spoilt(
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.ByteLevel(False)])
    ),
    "not byte-level": spoilt(pre_tokenizer=pre_tokenizers.Whitespace()),
    "no split": spoilt(pre_tokenizer=None),
    "ignores merges": spoilt(model=models.BPE({"a": 0}, [], ignore_merges=True)),
    "byte_fallback": spoilt(model=models.BPE({"a": 0}, [], byte_fallback=True)),
}


@pytest.mark.parametrize("tokenizer", ODD.values(), ids=ODD)
def test_a_tokenizer_that_llama_cpp_has_no_name_for_is_refused(tokenizer: Tokenizer) -> None:
    tokens = Tokens(tokenizer, {}, {"pad": 0, "bos": None, "eos": 0}, 10, 0)
    with pytest.raises(NotExportable) as caught:
        vocabulary(tokens, 10, "gguf")
    assert caught.value.fault == "user"
    assert "student.zip" in caught.value.remedy


def test_other_tokens_are_named(made: tuple[Any, Tokens]) -> None:
    """A wrong name loads, and cuts some texts otherwise."""
    network, tokens = made
    folder_of_another = Tokens(byte_level.tokenizer("gpt-2"), {}, {"pad": 0, "bos": 1, "eos": 0}, 600, 0)
    with pytest.raises(ExportDiffers) as caught:
        check_tokens(InTorch(network, folder_of_another), tokens, TEXTS, "gguf")
    assert caught.value.details["wanted"] != caught.value.details["found"]


@pytest.mark.parametrize("form", ["instructions", "messages"])
def test_the_template_is_the_prompt_of_training(form: Any) -> None:
    filled = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template(form))
    one = [{"role": "user", "content": " Name three birds.\n"}]
    assert filled.render(messages=one) == prompt(one[0]["content"], form)
    talk = [
        {"role": "system", "content": " "},
        *one,
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "b '{{"},
    ]
    if form == "messages":
        assert filled.render(messages=talk) == prompt(talk, form)


def test_every_format_is_offered_to_those_tasks_that_it_takes() -> None:
    offered = {name for spec in tasks.specs() for name in spec.formats}
    assert offered == set(exports.names())
    assert tasks.spec("generate_text").formats == ("gguf", "gguf-q8-0")
    assert tasks.spec("classify_text").formats == ("onnx", "onnx-fp16", "onnx-int8", "openvino", "torch-export")
