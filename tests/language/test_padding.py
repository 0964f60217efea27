"""A sample's answer is its own, whatever stands beside it in the batch and whatever token fills up the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from distill.modalities.text import tokenise
from distill.modalities.text.loader import collate
from distill.models.language import Tokens, load, make_student, open_folder, save_folder
from distill.models.language.tokenizer import Pair
from distill.types import Architecture
from tests.language import tiny

CLASSES = ("class0", "class1", "class2")
TEXTS: list[Pair] = [("what does the cat do ?", None), ("a dog sleeps far today , near the bird near the fish", None)]
EOS, CLS = 4, 1
# the tokenizer's pad token, config.json's number, what batches are then padded with
PADDED_BY = {
    "both agree, on the end": ("[EOS]", EOS, EOS),
    "only the tokenizer names one": ("[EOS]", None, EOS),
    "config.json names another": ("[CLS]", 0, CLS),
    "nobody names one": (None, None, EOS),
}


def folder_of(path: Path, family: str, token: str | None, number: int | None) -> Path:
    """As a base Qwen2: the tokenizer pads with one token, config.json names it, another, or none."""
    saved = tiny.save(tiny.network(family, "classify", pad_token_id=number), path)
    settings = json.loads((saved / "tokenizer_config.json").read_text())
    settings.pop("pad_token")
    settings |= {"pad_token": token} if token else {}
    (saved / "tokenizer_config.json").write_text(json.dumps(settings))
    config = json.loads((saved / "config.json").read_text())
    assert config.get("pad_token_id") == number
    return saved


def padded(tokens: Tokens) -> dict[str, Tensor]:
    return collate(tokenise(TEXTS, torch.zeros(2), tokens, 64), torch.arange(2), tokens.pad, 64)[0]


@torch.no_grad()
def check(network: Any, inputs: dict[str, Tensor]) -> Tensor:
    """Each sample's logits alone, no padding, are those of the batch; gives them."""
    network = network.eval()
    together: Tensor = network(**inputs).logits
    for row, length in enumerate(inputs["attention_mask"].sum(1).tolist()):
        alone = network(**{name: tensor[row : row + 1, :length] for name, tensor in inputs.items()}).logits
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
    return together


@pytest.mark.parametrize("case", PADDED_BY)
@pytest.mark.parametrize("family", tiny.DECODERS)
def test_decoder_classifiers_do_not_read_the_padding(family: str, case: str, tmp_path: Path) -> None:
    token, number, pad = PADDED_BY[case]
    folder = open_folder(folder_of(tmp_path / "teacher", family, token, number), tmp_path)
    teacher: Any
    teacher, headed = load(folder, "classify", CLASSES)
    tokens = Tokens.load(folder, teacher.config)
    assert headed
    assert tokens.pad == pad
    inputs = padded(tokens)
    assert int((inputs["input_ids"] == pad).sum()) > 3
    check(teacher, inputs)
    smaller = Architecture(name="transformers:auto", options={"layers": 2, "width": 8})
    student = make_student(smaller, teacher, "classify", CLASSES).network
    expected = check(student, inputs)
    save_folder(student, tokens, tmp_path / "out")
    again, _ = load(open_folder(tmp_path / "out", tmp_path), "classify", CLASSES)
    torch.testing.assert_close(check(again, inputs), expected)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", local_files_only=True)
    torch.testing.assert_close(check(theirs, inputs), expected)


@pytest.mark.parametrize("family", tiny.DECODERS)
def test_an_export_answers_alike_with_transformers_alone(family: str, tmp_path: Path) -> None:
    """Their model and their tokenizer, which pads by itself."""
    folder = open_folder(folder_of(tmp_path / "teacher", family, "[EOS]", None), tmp_path)
    teacher: Any = load(folder, "classify", CLASSES)[0]
    save_folder(teacher, Tokens.load(folder, teacher.config), tmp_path / "out")
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out", local_files_only=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    texts = [text for text, _ in TEXTS]
    with torch.no_grad():
        together = model(**_inputs(tokenizer(texts, padding=True, padding_side="right", return_tensors="pt"))).logits
        alone = [model(**_inputs(tokenizer([text], return_tensors="pt"))).logits[0] for text in texts]
    torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


def _inputs(encoded: Any) -> dict[str, Tensor]:
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def test_a_decoder_that_generates_keeps_its_configuration(tmp_path: Path) -> None:
    """An embedding's padding row is not trained: the end token, which answers need, must not become one."""
    path = tiny.save(tiny.network("qwen2", "generate", pad_token_id=None), tmp_path / "model")
    text = (path / "tokenizer_config.json").read_text()
    (path / "tokenizer_config.json").write_text(re.sub(r"\[PAD\]", "[EOS]", text))
    folder = open_folder(path, tmp_path)
    network: Any = load(folder, "generate", ())[0]
    assert network.config.pad_token_id is None
    save_folder(network, Tokens.load(folder, network.config), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "config.json").read_text()).get("pad_token_id") is None


def test_roberta_counts_its_positions_from_its_own_padding(tmp_path: Path) -> None:
    original = tiny.network("roberta", pad_token_id=3)
    folder = open_folder(tiny.save(original, tmp_path / "model"), tmp_path)
    network: Any = load(folder, "classify", CLASSES)[0]
    tokens = Tokens.load(folder, network.config)
    assert (network.config.pad_token_id, tokens.pad) == (3, 0)
    check(network, padded(tokens))


BARE = [name for name in tiny.FAMILIES if name != "qwen2"]
"""transformers insists on its own class for qwen2, which reads no tokenizer.json but of its own kind."""


@pytest.mark.parametrize("family", BARE)
def test_a_teacher_without_tokenizer_config_leaves_a_student_that_transformers_tokenises_alike(
    family: str, tmp_path: Path
) -> None:
    """By config.json's family alone AutoTokenizer rebuilds the family's own tokenizer, whatever tokenizer.json says."""
    segments = {"type_vocab_size": 2} if family in ("bert", "electra") else {}
    saved = tiny.save(tiny.network(family, **segments), tmp_path / "teacher")
    (saved / "tokenizer_config.json").unlink()
    teacher, _ = load(folder := open_folder(saved, tmp_path), "classify", CLASSES)
    tokens = Tokens.load(folder, teacher.config)
    save_folder(teacher, tokens, tmp_path / "out")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "out", local_files_only=True)
    texts = [text for text, _ in TEXTS]
    together = theirs(texts, padding=True)["input_ids"]
    for text, row, padded_row in zip(texts, theirs(texts)["input_ids"], together, strict=True):
        assert row == tokens.encode([(text, None)], 64)[0].ids
        assert padded_row == row + [tokens.pad] * (len(together[0]) - len(row))
    (pair,) = tokens.encode([(texts[0], texts[1])], 64)
    told = theirs(texts[0], texts[1])
    assert (told["input_ids"], told.get("token_type_ids", [])) == (pair.ids, pair.segments)
    again = Tokens.load(open_folder(tmp_path / "out", tmp_path), teacher.config)
    assert (again.pad, again.bos, again.eos) == (tokens.pad, tokens.bos, tokens.eos)
