"""Classifiers of texts for other runtimes: files of token ids, judged as the student, the tokenizer beside."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from distill import exports, tasks
from distill.control import Control
from distill.export import Context, Graph
from distill.exporting.written import written
from distill.modalities.text import TextPreprocessing
from distill.models.language import Tokens
from distill.run import run
from distill.same_answers import ExportDiffers, check
from distill.student import load_student
from distill.tasks._texts import labelled
from distill.traced import Traced
from distill.types import ComparisonInput, ExportInput, ExportRequest, RunSpec
from tests.language import tiny
from tests.tasks.house import House, go
from tests.tasks.test_exports import answer_of
from tests.tasks.tiny import classify_text

TEXTS = ["the cat", "what does it do today , the good dog sleeps fast ?", "a bird runs far"]
WANTED = ["onnx", "onnx-fp16", {"format": "onnx-int8", "max_drop": 0.1}, "openvino", "torch-export"]
REFUSED = [
    {"format": "onnx", "parameters": {"pixels": True}},
    {"format": "onnx", "parameters": {"suppression": True}},
    {"format": "onnx-int8", "parameters": {"quantisation_aware": True}},
]


def graph_of(family: str) -> tuple[Graph, Tokens]:
    network = tiny.network(family)
    segments = int(getattr(network.config, "type_vocab_size", 0) or 0)
    special = {"pad": 0, "bos": None, "eos": 4}
    tokens = Tokens(tiny.tokenizer(family in tiny.DECODERS), {}, special, tiny.VOCABULARY, segments)
    how = TextPreprocessing(24, tiny.VOCABULARY, tokens.segments, "classify", "cls")
    given: Any = None
    return labelled.graph(Context(network, given, ("a", "b", "c"), how, {}, given, tokens=tokens)), tokens


def rows(graph: Graph, tokens: Tokens, texts: list[str]) -> dict[str, torch.Tensor]:
    found = Tokenizer.from_str(graph.beside[labelled.TOKENIZER]).encode_batch(texts)
    named = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
    return {name: torch.tensor([getattr(each, named[name]) for each in found]) for name in graph.tensors}


@pytest.mark.parametrize("family", tiny.mostly_slow([*tiny.ENCODERS, "llama"], "modernbert"))
def test_padding_and_the_batch_do_not_matter(family: str, tmp_path: Path) -> None:
    """One text and three of different lengths, of which evaluation pads the short ones."""
    graph, tokens = graph_of(family)

    def samples(count: int) -> Iterator[Any]:
        return (graph.encode(rows(graph, tokens, [text])) for text in TEXTS[:count])

    traced = Traced(graph, samples, tmp_path)
    assert traced.three()["attention_mask"].sum(1).unique().numel() == 3
    graph.module.requires_grad_(requires_grad=False)
    _, opened = written(exports.get("onnx")(), traced, tmp_path / "made" / "student.onnx", "onnx")
    together = opened(rows(graph, tokens, TEXTS))
    for number, text in enumerate(TEXTS):
        torch.testing.assert_close(opened(rows(graph, tokens, [text]))[0], together[number], rtol=0, atol=1e-4)

    def blind(given: dict[str, torch.Tensor]) -> torch.Tensor:
        """As a file that does not look at the mask."""
        return opened(given | {"attention_mask": torch.ones_like(given["attention_mask"])})

    if family in tiny.DECODERS:  # no token of theirs looks at what comes after it
        return
    with pytest.raises(ExportDiffers):
        check(blind, graph, traced.three(), 1e-3, "onnx")


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    house: House = classify_text.make(tmp_path_factory.mktemp("house"))
    return house.spec(recipe="cross_entropy", exports=[*WANTED, *REFUSED], epochs=3)


@pytest.fixture(scope="module")
def made(spec: RunSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    events = go(spec, folder)
    assert events[-1].kind == "done"
    names = [event.data["name"] for event in events if event.kind == "artifact"]
    assert len(names) == len(set(names))
    assert "student.tokenizer.json" in names
    return folder / "artifacts"


def test_every_file_is_held_against_torch(made: Path) -> None:
    found = json.loads((made / "exports.json").read_text())
    assert [each["format"] for each in found["exports"]] == [
        each if isinstance(each, str) else each["format"] for each in WANTED
    ]
    for each in found["exports"]:
        exact = each["format"] in ("onnx", "openvino", "torch-export")
        assert not exact or (each["drop"], each["agreement"]["value"]) == (0, 1)
        assert not each["exceeds_max_drop"]
        assert each["largest_difference"]["value"] < (1e-4 if exact else 0.05)
        assert each["input"]["shape"] == ["n", "t"]
        assert each["input"]["tensors"] == ["input_ids", "attention_mask", "token_type_ids"]
        assert [file["name"] for file in each["beside"]] == ["student.tokenizer.json"]
        assert each["bytes"] == sum((made / file["name"]).stat().st_size for file in each["files"])
    assert [each["error"]["code"] for each in found["failed"]] == ["not_exportable"] * len(REFUSED)
    assert "student.tokenizer.json" in (made / "README.md").read_text()


@pytest.mark.parametrize("number", range(len(WANTED)))
def test_its_program_says_what_the_student_says_without_retort(number: int, made: Path) -> None:
    entry = json.loads((made / "exports.json").read_text())["exports"][number]
    student = load_student(made / "student.zip")
    assert answer_of(entry["snippet"], made) == student.predict(["A text."])[0].label
    code = entry["snippet"].replace('prepare("A text.")', f"prepare(*{TEXTS})").split("print(")[0]
    said = ast.literal_eval(answer_of(code + "\nprint(output.tolist())", made))
    wanted = student.probabilities(TEXTS)
    torch.testing.assert_close(torch.tensor(said).softmax(1), wanted, rtol=0, atol=0.02)


def test_a_file_is_asked_for_later(spec: RunSpec, made: Path, tmp_path: Path) -> None:
    student = ComparisonInput(
        label="student", architecture=spec.student, weights=str(made / "student.zip"), recipe=spec.config.recipe
    )
    asked = ExportInput(requests=(ExportRequest(format="onnx"),), student=student, report=str(made / "report.json"))
    events = list(run(spec.model_copy(update={"export": asked}), tmp_path, Control()))
    assert events[-1].kind == "done"
    (entry,) = json.loads((tmp_path / "artifacts" / "exports.json").read_text())["exports"]
    assert (entry["drop"], entry["agreement"]["value"]) == (0, 1)
    names = [event.data["name"] for event in events if event.kind == "artifact"]
    assert names == ["student.onnx", "student.tokenizer.json", "exports.json", "README.md"]
    beside = "student.tokenizer.json"
    assert (tmp_path / "artifacts" / beside).read_bytes() == (made / beside).read_bytes()


def test_the_tokenizer_cuts_as_training_did(made: Path) -> None:
    how = load_student(made / "student.zip").preprocessing
    own = Tokenizer.from_file(str(made / "student.tokenizer.json"))
    assert len(own.encode("the cat " * 500).ids) == how.max_length
    assert tasks.spec("classify_text").formats == exports.of("tokens")
