"""Decoders that follow instructions: whole runs, honest evaluation, generation that padding does not change."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from distill.errors import InvalidConfig
from distill.modalities.text import open_text
from distill.models.language import load, open_folder
from distill.models.language.tokenizer import Tokens
from distill.student import load_student
from distill.tasks._texts.generation import generate
from distill.tasks.generate_text.answer import TokenAnswer
from distill.tasks.network import Network
from distill.training.meter import Meter
from distill.types import Architecture, ComparisonInput, DatasetInput, Event, TeacherInput
from tests.language import tiny
from tests.language.test_data import write
from tests.language.test_run import go, spec

pytestmark = pytest.mark.long

STUDENT = Architecture(name="transformers:auto", options={"layers": 2, "width": 8})


def instructions(path: Path, labelled: bool = False, count: int = 80) -> DatasetInput:
    rows: list[dict[str, Any]] = []
    for i in range(count):
        animal, verb, label = (("cat", "runs", "land"), ("bird", "flies", "air"), ("fish", "swims", "sea"))[i % 3]
        filler = " ".join(tiny.WORDS[(i * 7 + j) % len(tiny.WORDS)] for j in range(i % 5))
        row = {"instruction": f"what does the {animal} do ? {filler}", "input": "", "output": f"the {animal} {verb} ."}
        rows.append(row | ({"label": label} if labelled else {}))
    name = "labelled" if labelled else "plain"
    return DatasetInput(kind="text", name=name, files={"all": str(write(path / f"{name}.jsonl", rows))})


def teacher(family: str, folder: Path, **changes: Any) -> TeacherInput:
    path = tiny.save(tiny.network(family, "generate", **changes), folder / "teacher")
    return TeacherInput(
        architecture=Architecture(name=f"transformers:{family}"), weights=str(path), num_classes=0, digest=family
    )


def events_of(kind: str, events: list[Event]) -> list[dict[str, Any]]:
    return [event.data for event in events if event.kind == kind]


@pytest.mark.parametrize("family", tiny.mostly_slow(tiny.DECODERS, "llama"))
def test_every_decoder_family_makes_the_whole_way(family: str, tmp_path: Path) -> None:
    data = instructions(tmp_path, labelled=True)
    wanted = {"recipe": "feature_only", "epochs": 2, "layers": 1}
    events = go(spec(data, teacher(family, tmp_path), STUDENT, **wanted), tmp_path / "run")
    assert events[-1].kind == "done"
    assert len(events_of("layer_quality", events)) == 4
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    for column in (report["student"], report["teacher"]):
        assert column["perplexity"] == pytest.approx(math.exp(column["loss"]))
        assert 0 <= column["rouge_l"]["value"] <= 1
        assert column["rouge_l"]["n"] == report["dataset"]["test"]
        assert column["generation"]["tokens_per_second"] >= 0
        assert column["accuracy"]["n"] > report["dataset"]["test"]  # tokens, not samples
        assert not {"per_class", "top5"} & set(column)  # a token's number is no class's
    text = (tmp_path / "run" / "artifacts" / "report.md").read_text()
    assert "ROUGE-L" in text
    assert "Accuracy by class" not in text
    for values in (event["values"] for event in events_of("metrics", events) if event["split"] == "validation"):
        assert values["perplexity"] == pytest.approx(math.exp(values["loss"]))
    tested = next(event["values"] for event in events_of("metrics", events) if event["split"] == "test")
    assert tested["perplexity"] == report["student"]["perplexity"]
    assert report["dataset"]["kind"] == "generate"
    student = load_student(tmp_path / "run" / "artifacts" / "student.zip")
    assert isinstance(student.answer(["what does the cat do ?"])[0], str)


@pytest.mark.parametrize(
    "name", tiny.mostly_slow([n for n in tiny.OFFERED["generate"] if n != "feature_only"], "logit")
)
def test_every_recipe_trains_a_decoder(name: str, tmp_path: Path) -> None:
    events = go(
        spec(instructions(tmp_path), teacher("llama", tmp_path), STUDENT, recipe=name, epochs=1), tmp_path / "run"
    )
    assert events[-1].kind == "done"


def test_without_labels_there_is_no_curve_and_the_job_says_why(tmp_path: Path) -> None:
    events = go(
        spec(instructions(tmp_path), teacher("opt", tmp_path), STUDENT, recipe="feature_logit", epochs=1),
        tmp_path / "r",
    )
    assert events_of("layer_quality", events) == []
    assert any("no Q curve" in data["message"] and "label" in data["message"] for data in events_of("log", events))
    selection = events_of("selection", events)[0]
    assert selection["rule"] == "even"
    assert "no Q curve" in selection["reason"]
    assert selection["teacher_layers"] == ["model.decoder.layers.0", "model.decoder.layers.2"]
    assert not (tmp_path / "r" / "artifacts" / "q-curve.json").exists()


def test_a_decoder_learns_its_instructions_and_answers_them(tmp_path: Path) -> None:
    """Fine-tuning a random decoder by cross-entropy: perplexity near 1, ROUGE-L near 1."""
    given = teacher("llama", tmp_path, width=32, num_key_value_heads=2)
    same = Architecture(name="transformers:auto")
    changes = {"recipe": "cross_entropy", "epochs": 14, "learning_rate": 5e-3}
    events = go(spec(instructions(tmp_path, count=240), given, same, **changes), tmp_path / "run")
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    assert report["teacher"]["perplexity"] > 5 > 1.5 > report["student"]["perplexity"]
    assert report["student"]["rouge_l"]["value"] > 0.9 > report["teacher"]["rouge_l"]["value"]
    assert events[-1].kind == "done"
    student = load_student(tmp_path / "run" / "artifacts" / "student.zip")
    assert student.answer(["what does the bird do ?"]) == ["the bird flies ."]


def test_an_instruction_may_have_an_input(tmp_path: Path) -> None:
    """The prompt is the one of training: what the answer says depends on the input alone here."""
    rows = [
        {"instruction": "what does it do ?", "input": f"the {animal}", "output": f"{verb} ."}
        for animal, verb in (("cat", "runs"), ("bird", "flies"), ("fish", "swims"))
    ]
    data = DatasetInput(kind="text", name="inputs", files={"all": str(write(tmp_path / "inputs.jsonl", rows * 80))})
    given = teacher("llama", tmp_path, width=32, num_key_value_heads=2)
    changes = {"recipe": "cross_entropy", "epochs": 14, "learning_rate": 5e-3}
    go(spec(data, given, Architecture(name="transformers:auto"), **changes), tmp_path / "run")
    student = load_student(tmp_path / "run" / "artifacts" / "student.zip")
    asked = [("what does it do ?", f"the {animal}") for animal in ("fish", "cat")]
    assert student.answer(asked) == ["swims .", "runs ."]


@pytest.mark.parametrize("family", tiny.DECODERS)
def test_generation_is_the_argmax_and_prompts_beside_it_change_nothing(family: str, tmp_path: Path) -> None:
    path = teacher(family, tmp_path).weights
    folder = open_folder(path, tmp_path)
    module: Any = load(folder, "generate", ())[0]
    tokens = Tokens.load(folder, module.config)
    how = type("How", (), {"one": lambda self: {"input_ids": torch.zeros(1, 32)}})()
    network = Network(module, STUDENT, how, tokens=tokens)
    prompts = ["what does the cat do ?", "a dog sleeps far today , near the bird"]
    together, _ = generate(network, prompts, torch.device("cpu"), 5)
    alone = [generate(network, [prompt], torch.device("cpu"), 5)[0][0] for prompt in prompts]
    assert together == alone
    ids = [tokens.bos, *tokens.plain(prompts[:1])[0]]
    with torch.no_grad():
        for _ in range(5):
            ids.append(int(module(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
            if ids[-1] == tokens.eos:
                break
    made = ids[-5:] if tokens.eos not in ids[1:] else ids[1 + len(tokens.plain(prompts[:1])[0]) : -1]
    assert together[0] == tokens.decode(made).strip()


def test_means_are_over_tokens() -> None:
    labels = torch.tensor([[-100, 1, 2, 3], [-100, -100, -100, 0]])
    answer = TokenAnswer()
    assert answer.compare(torch.zeros(2, 4, 4), labels).labels.tolist() == [1, 2, 3, 0]
    meter = Meter(answer)
    logits = F.one_hot(torch.tensor([1, 2, 0, 0]), 4).float()
    meter.add({"loss": torch.tensor(2.0), "outputs": logits}, labels)
    meter.add({"loss": torch.tensor(5.0), "outputs": logits[:1]}, labels[:1, :2])
    assert meter.take() == {"loss": pytest.approx((4 * 2 + 5) / 5), "accuracy": pytest.approx(4 / 5)}


def test_the_averaged_weights_of_a_tied_decoder_are_validated(tmp_path: Path) -> None:
    tied = teacher("gpt2", tmp_path, tie_word_embeddings=True)
    wanted = {"recipe": "logit", "epochs": 1, "ema_decay": 0.9}
    events = go(spec(instructions(tmp_path), tied, STUDENT, **wanted), tmp_path / "run")
    assert events[-1].kind == "done"


def test_a_comparison_of_other_tokens_is_refused_before_any_work(tmp_path: Path) -> None:
    """Its next-token accuracy would be of other tokens: nothing to compare sample by sample."""
    data = instructions(tmp_path)
    (tmp_path / "a").mkdir()
    first, wanted = teacher("llama", tmp_path / "a"), {"recipe": "logit", "max_steps": 2}
    go(spec(data, first, STUDENT, **wanted), tmp_path / "run")
    given = ComparisonInput(
        label="it", architecture=STUDENT, weights=str(tmp_path / "run" / "artifacts" / "student.zip"), recipe="logit"
    )
    (tmp_path / "b").mkdir()
    other = teacher("gpt2", tmp_path / "b")
    path = Path(other.weights) / "tokenizer.json"
    path.write_text(path.read_text().replace('"cat"', '"horse"'))
    with pytest.raises(InvalidConfig, match="other tokens"):
        go(spec(data, other, STUDENT, comparison=given, **wanted), tmp_path / "refused")
    assert go(spec(data, first, STUDENT, comparison=given, **wanted), tmp_path / "taken")[-1].kind == "done"


def test_a_student_of_conversations_is_asked_as_it_was_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"what does the {animal} do ?"},
                      {"role": "assistant", "content": f"the {animal} {verb} ."}]}
        for animal, verb in (("cat", "runs"), ("bird", "flies")) * 20
    ]  # fmt: skip
    data = DatasetInput(kind="text", name="talk", files={"all": str(write(tmp_path / "talk.jsonl", rows))})
    go(spec(data, teacher("llama", tmp_path), STUDENT, recipe="logit", max_steps=2), tmp_path / "run")
    student = load_student(tmp_path / "run" / "artifacts" / "student.zip")
    with pytest.raises(InvalidConfig, match="a decoder"):
        student.predict(["what does the cat do ?"])
    asked: list[str] = []
    plain = student.tokens.plain
    monkeypatch.setattr(student.tokens, "plain", lambda texts: asked.extend(texts) or plain(texts))
    student.answer(["what does the cat do ?", rows[0]["messages"][:1]])
    taught = {prompt for prompt, _ in open_text(data).train.pairs}
    assert asked[0] == asked[1] == "### User:\nwhat does the cat do ?\n\n### Assistant:\n"
    assert asked[0] in taught
    turns = [{"role": "system", "content": "be brief"}, *rows[0]["messages"], {"role": "user", "content": "why ?"}]
    student.answer([turns])
    assert asked[2].split("\n\n")[0] == "### System:\nbe brief"
    assert asked[2].endswith("### Assistant:\nthe cat runs .\n\n### User:\nwhy ?\n\n### Assistant:\n")


@pytest.mark.parametrize("talk", [False, True])
def test_the_card_of_a_decoder_answers_with_transformers_alone(talk: bool, tmp_path: Path) -> None:
    """Also where the tokenizer names no bos token and config.json does, as Qwen2.5's: it stands before every prompt."""
    data = instructions(tmp_path)
    if talk:
        rows = [json.loads(line) for line in Path(data.files["all"]).read_text().splitlines()]
        turns = [[{"role": "user", "content": row["instruction"]}, {"role": "assistant", "content": row["output"]}]
                 for row in rows]  # fmt: skip
        path = write(tmp_path / "talk.jsonl", [{"messages": each} for each in turns])
        data = DatasetInput(kind="text", name="talk", files={"all": str(path)})
    go(spec(data, teacher("llama", tmp_path), STUDENT, recipe="logit", epochs=3), tmp_path / "run")
    folder = tmp_path / "run" / "artifacts"
    with zipfile.ZipFile(folder / "student.zip") as archive:
        archive.extractall(folder / "student")
    student = load_student(folder / "student.zip")
    assert student.tokens.bos is not None
    _, alone = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    alone = "import distill.torchvision_shim\n" + alone.replace("max_new_tokens=64", "max_new_tokens=8")
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", alone], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == student.answer(["Name three birds."], new_tokens=8)[0]
