"""Whole runs on tiny models: fine-tune a base, distil it by every recipe, resume, package, load again."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.control import Control
from distill.errors import InvalidConfig, InvalidTeacher
from distill.modalities.text.packing import TokenPacking
from distill.models.language import examine, open_folder
from distill.run import run
from distill.student import load_student
from distill.training import cache
from distill.types import Architecture, DatasetInput, DistillConfig, Event, RunSpec, TeacherInput
from tests.language import tiny
from tests.language.test_data import write

SUBJECTS = {"good": ("cat", "dog"), "bad": ("bird", "fish"), "far": ("today", "near")}


def texts(path: Path, count: int = 240) -> DatasetInput:
    """Three classes told apart by their words, of very different lengths."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for i in range(count):
        label = list(SUBJECTS)[i % 3]
        filler = torch.randint(len(tiny.WORDS), (2 + i % 11,), generator=generator).tolist()
        words = [tiny.WORDS[j] for j in filler if tiny.WORDS[j] not in {w for s in SUBJECTS.values() for w in s}]
        rows.append({"text": " ".join([*words, SUBJECTS[label][i % 2], "runs"]), "label": label})
    write(path / "all.jsonl", rows)
    return DatasetInput(kind="text", name="tiny", files={"all": str(path / "all.jsonl")})


def config(**changes: Any) -> DistillConfig:
    base: dict[str, Any] = {"epochs": 2, "batch_size": 16, "layers": 2, "quality_samples": 30, "learning_rate": 3e-3}
    return DistillConfig(**(base | {"device": "cpu", "precision": "fp32", "channels_last": False} | changes))


def go(spec: RunSpec, folder: Path, control: Control | None = None) -> list[Event]:
    return list(run(spec, folder, control or Control()))


def given(path: Path, classes: int = 3) -> TeacherInput:
    return TeacherInput(
        architecture=Architecture(name="transformers:auto"), weights=str(path), num_classes=classes, digest=path.name
    )


SHALLOW = Architecture(name="transformers:bert", options={"layers": 2})
STUDENT = Architecture(name="transformers:auto", options={"layers": 2, "width": 8})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DatasetInput:
    return texts(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT without a head."""
    return tiny.save(tiny.network("bert").bert, tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def teacher(data: DatasetInput, base: Path, tmp_path_factory: pytest.TempPathFactory) -> TeacherInput:
    """The base, fine-tuned by a job."""
    folder = tmp_path_factory.mktemp("teacher")
    spec = RunSpec(
        config=config(recipe="cross_entropy", epochs=12), student=Architecture(name="transformers:auto"), dataset=data,
        teacher=given(base, 0),
    )  # fmt: skip
    events = go(spec, folder)
    assert events[-1].kind == "done"
    result = next(event for event in events if event.kind == "result").data
    assert result["teacher"] is None
    assert result["student"]["accuracy"]["value"] > 0.8
    resolved = next(event for event in events if event.kind == "resolved").data
    assert resolved["config"]["max_length"] == 16
    assert resolved["reasons"]["truncated"].startswith("0 of 192 training texts (0.0%) and 0 of 48 test texts")
    assert "fine-tuned" not in resolved["reasons"]["learning_rate"]  # it was given
    return given(folder / "artifacts" / "student.zip")


def spec(data: DatasetInput, teacher: TeacherInput, student: Architecture = STUDENT, **changes: Any) -> RunSpec:
    extra = {name: changes.pop(name) for name in list(changes) if name in RunSpec.model_fields}
    return RunSpec(config=config(**changes), student=student, dataset=data, teacher=teacher, **extra)


def test_a_number_of_layers_that_nobody_gave_follows_the_student(
    data: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    """Embeddings and two blocks are fewer than a job distils that says nothing."""
    given = spec(data, teacher, recipe="feature_only", epochs=1, layers="auto")
    events = go(given, tmp_path / "job")
    resolved = next(event for event in events if event.kind == "resolved").data
    assert resolved["config"]["layers"] == 3
    assert STUDENT.name.partition(":")[0] in resolved["reasons"]["layers"]
    chosen = next(event for event in events if event.kind == "selection").data
    assert len(chosen["student_layers"]) == len(chosen["teacher_layers"]) == 3
    with pytest.raises(InvalidConfig) as caught:
        next(run(spec(data, teacher, layers=4), tmp_path / "refused", Control()))
    assert caught.value.details["field"] == "layers"


@pytest.fixture(scope="module")
def finished(
    data: DatasetInput, teacher: TeacherInput, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Event], Path]:
    folder = tmp_path_factory.mktemp("run")
    return go(spec(data, teacher, SHALLOW, recipe="feature_only", epochs=8), folder), folder


def test_phases_curve_selection_and_report(finished: tuple[list[Event], Path]) -> None:
    events, folder = finished
    phases = [event.data["phase"] for event in events if event.kind == "phase"]
    assert phases == ["scoring", "distilling", "evaluating", "packaging"]
    layers = [event.data for event in events if event.kind == "layer_quality"]
    assert [layer["name"] for layer in layers] == ["bert.embeddings"] + [f"bert.encoder.layer.{i}" for i in range(3)]
    assert all(layer["shape"] == [16] for layer in layers)
    selection = next(event for event in events if event.kind == "selection").data
    assert selection["student_layers"][-1] == "bert.encoder.layer.1"
    report = json.loads((folder / "artifacts" / "report.json").read_text())
    assert report["student"]["architecture"]["options"] == {
        "layers": 2,
        "width": 16,
        "heads": 2,
        "inner": 32,
        "initialise": "teacher",
    }
    assert report["configuration"]["text_features"] == "cls"
    assert report["student"]["agreement"]["n"] == report["dataset"]["test"]
    assert report["student"]["parameters"] < report["teacher"]["parameters"]
    assert report["student"]["flops"] > 0
    assert report["dataset"]["truncated"] == {"train": 0, "test": 0}
    assert "No test text is among the training texts." in (folder / "artifacts" / "report.md").read_text()
    assert not [event for event in events if event.kind == "log" and event.data["level"] == "warning"]
    names = {event.data["name"] for event in events if event.kind == "artifact"}
    assert {"student.zip", "student.json", "README.md", "report.md", "q-curve.json"} <= names
    json.dumps([event.data for event in events], allow_nan=False)


def test_the_report_and_the_log_say_what_is_cut_and_what_is_in_both_splits(
    teacher: TeacherInput, tmp_path: Path
) -> None:
    texts(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    train, test = write(tmp_path / "train.jsonl", rows[:180]), write(tmp_path / "test.jsonl", rows[168:])
    both = DatasetInput(kind="text", name="both", files={"train": str(train), "test": str(test)})
    wanted = {"recipe": "logit", "epochs": 1, "max_length": 8, "test_limit": 60}
    events = go(spec(both, teacher, **wanted), tmp_path / "run")
    report = json.loads((tmp_path / "run" / "artifacts" / "report.json").read_text())
    found = report["dataset"]
    assert (found["kind"], found["max_length"], found["duplicates_between_splits"]) == ("classify", 8, 12)
    assert 0 < found["mean_tokens"] <= 8
    cut = found["truncated"]
    used = {"train": found["train"] + found["validation"], "test": found["test"]}
    assert used == {"train": 180, "test": 60}
    assert cut["train"] == sum(len(row["text"].split()) > 6 for row in rows[:180])  # [CLS] and [SEP] beside them
    assert 0 < cut["test"] < 60
    reason = f"{cut['train']} of 180 training texts ({cut['train'] / 180:.1%}) and {cut['test']} of 60 test texts"
    assert report["reasons"]["truncated"].startswith(reason)
    warnings = [event.data["message"] for event in events if event.kind == "log" and event.data["level"] == "warning"]
    assert any(message.startswith(reason) for message in warnings)
    assert any("12 of 72 test texts are among the training texts" in message for message in warnings)
    result = next(event for event in events if event.kind == "result").data
    assert result["dataset"] == found
    text = (tmp_path / "run" / "artifacts" / "report.md").read_text()
    assert reason in text
    assert "12 test texts are among the training texts." in text


def test_the_student_is_a_hugging_face_folder_that_predicts(
    finished: tuple[list[Event], Path], data: DatasetInput, tmp_path: Path
) -> None:
    _, folder = finished
    path = folder / "artifacts" / "student.zip"
    with zipfile.ZipFile(path) as archive:
        told = json.loads((folder / "artifacts" / "report.json").read_text())["student"]["bytes"]
        assert archive.getinfo("model.safetensors").file_size == told
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(archive.namelist())
    assert examine(open_folder(path, tmp_path)).classes == ("bad", "far", "good")
    student = load_student(path)
    rows = [json.loads(line) for line in Path(data.files["all"]).read_text().splitlines()]
    found = student.predict([row["text"] for row in rows])
    one = student.predict([rows[5]["text"]])[0]
    assert one.label == found[5].label
    assert one.probability == pytest.approx(found[5].probability, abs=1e-5)  # alone or padded beside longer ones
    assert student.predict([]) == []
    report = json.loads((folder / "artifacts" / "report.json").read_text())
    accuracy = sum(p.label == row["label"] for p, row in zip(found, rows, strict=True)) / len(rows)
    assert accuracy == pytest.approx(report["student"]["accuracy"]["value"], abs=0.25)


@pytest.mark.parametrize(
    "name", tiny.mostly_slow([n for n in tiny.OFFERED["classify"] if n != "feature_only"], "blockwise_logit")
)
def test_every_recipe_finishes(name: str, data: DatasetInput, teacher: TeacherInput, tmp_path: Path) -> None:
    events = go(spec(data, teacher, recipe=name, epochs=1), tmp_path)
    assert events[-1].kind == "done"


@pytest.mark.parametrize("family", tiny.mostly_slow(tiny.FAMILIES, "distilbert", "gpt2"))
def test_every_family_makes_the_whole_way(family: str, data: DatasetInput, tmp_path: Path) -> None:
    base = tiny.save(tiny.network(family), tmp_path / "teacher")
    config_json = json.loads((base / "config.json").read_text())
    labels = {"id2label": dict(enumerate(("bad", "far", "good")))}
    (base / "config.json").write_text(json.dumps(config_json | labels))
    events = go(spec(data, given(base), recipe="feature_only", epochs=1, layers=1, max_steps=3), tmp_path / "run")
    assert events[-1].kind == "done"
    assert load_student(tmp_path / "run" / "artifacts" / "student.zip").predict(["the cat runs"])[0].label


@pytest.mark.parametrize("recipe", tiny.mostly_slow(["feature_logit", "blockwise_logit"], "feature_logit"))
def test_a_resumed_run_gives_the_same_student(
    recipe: str, data: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    whole = spec(data, teacher, recipe=recipe, epochs=3, cache_teacher=False)
    go(whole, tmp_path / "whole")
    control, steps = Control(), 0
    checkpoint = None
    for event in run(whole, tmp_path / "first", control):
        if event.kind == "progress":
            steps += 1
            control.handover = steps >= 5
        if event.kind == "checkpoint":
            checkpoint = event.data["path"]
    assert checkpoint
    assert control.handover
    go(whole.model_copy(update={"resume_from": checkpoint}), tmp_path / "second")
    files = [(tmp_path / name / "artifacts" / "student.json").read_text() for name in ("whole", "second")]
    assert files[0] == files[1]
    ours, theirs = (
        load_student(tmp_path / n / "artifacts" / "student.zip").model.state_dict() for n in ("whole", "second")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("reads", tiny.mostly_slow(["cls", "mean", "last", "tokens"], "tokens"))
def test_cached_targets_are_packed_and_train_as_live_ones(
    reads: str, data: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    losses = {}
    for cached in (False, True):
        changes = {"recipe": "feature_logit", "cache_teacher": cached, "text_features": reads, "epochs": 2}
        events = go(spec(data, teacher, **changes), tmp_path / str(cached))
        assert events[-1].kind == "done"
        losses[cached] = [
            e.data["values"]["loss"] for e in events if e.kind == "metrics" and e.data["split"] == "train"
        ]
    assert losses[True] == pytest.approx(losses[False], rel=2e-2)  # features are cached in bf16


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_the_packed_cache_keeps_tokens_only(place: str, tmp_path: Path) -> None:
    lengths = torch.tensor([3, 9, 5, 2])
    store = cache.Cache(place, torch.tensor([0, 1, 3]), tmp_path / "c", torch.device("cpu"), TokenPacking(lengths))

    class Batch:
        def __init__(self, rows: list[int], width: int) -> None:
            self.index = self.host_index = torch.tensor(rows)
            self.student = {"input_ids": torch.zeros(len(rows), width)}

    values = {i: torch.arange(lengths[i] * 2).view(-1, 2).float() + 20 * i for i in (0, 1, 3)}

    def padded(rows: list[int], width: int) -> torch.Tensor:
        made = torch.zeros(len(rows), width, 2)
        for i, row in enumerate(rows):
            made[i, : lengths[row]] = values[row]
        return made

    logits = torch.randn(3, 4)
    store.put(Batch([0, 1], 16), {"feature_0": padded([0, 1], 16), "logits": logits[:2]})  # type: ignore[arg-type]
    store.put(Batch([3], 8), {"feature_0": padded([3], 8), "logits": logits[2:]})  # type: ignore[arg-type]
    assert store._tensors["feature_0"].shape == (14, 2)
    found = store.get(Batch([3, 1], 16))  # type: ignore[arg-type]
    assert torch.equal(found["feature_0"], padded([3, 1], 16))
    assert torch.equal(found["logits"], logits[[2, 1]])
    assert (
        cache.bytes_per_sample({"feature_0": padded([0], 16)}, TokenPacking(lengths[[0, 1, 3]])) == 2 * 2 * 5
    )  # ceil(2 * 14 / 3)=10
    store.close()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_length": 4096}, "takes 64 tokens"),
        ({"layers": 9}, "9 layers"),
        ({"teacher": None}, "model folder"),
        ({"student": Architecture(name="transformers:gpt2")}, "family"),
        ({"student": Architecture(name="retort:resnet8")}, "family"),
    ],
)
def test_what_cannot_work_is_said_before_any_work(
    changes: dict[str, Any], message: str, data: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    fields = {"teacher": teacher} | changes
    with pytest.raises(InvalidConfig, match=message):
        go(spec(data, recipe="cross_entropy" if "teacher" in changes else "feature_only", **fields), tmp_path)


def test_a_base_model_is_no_teacher(data: DatasetInput, base: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="no classifier"):
        go(spec(data, given(base, 0), recipe="logit"), tmp_path)


def test_classes_in_another_order_are_refused(data: DatasetInput, tmp_path: Path) -> None:
    network = tiny.network("bert")
    network.config.id2label = {0: "good", 1: "bad", 2: "far"}
    with pytest.raises(InvalidConfig, match="another order"):
        go(spec(data, given(tiny.save(network, tmp_path / "t")), recipe="logit"), tmp_path)


def test_a_foreign_folder_is_no_student(base: Path) -> None:
    with pytest.raises(InvalidTeacher, match="not written by Retort"):
        load_student(base)


def test_a_comparison_and_the_honest_verdict(
    finished: tuple[list[Event], Path], data: DatasetInput, teacher: TeacherInput, tmp_path: Path
) -> None:
    from distill.types import ComparisonInput

    _, folder = finished
    compared = ComparisonInput(
        label="other", architecture=STUDENT, weights=str(folder / "artifacts" / "student.zip"), recipe="feature_only"
    )
    events = go(spec(data, teacher, recipe="logit", comparison=compared), tmp_path)
    result = next(event for event in events if event.kind == "result").data
    assert result["comparison"]["accuracy"]["n"] == result["student"]["accuracy"]["n"]
    assert result["verdict"]["difference"] is not None


def test_the_card_of_a_classifier_of_pairs_shows_a_pair(data: DatasetInput, tmp_path: Path) -> None:
    rows = [{"premise": f"the {tiny.WORDS[i % 7]}", "hypothesis": "runs fast", "label": i % 2} for i in range(60)]
    write(tmp_path / "pairs.jsonl", rows)
    pairs = DatasetInput(kind="text", name="pairs", files={"all": str(tmp_path / "pairs.jsonl")})
    network = tiny.save(tiny.network("bert", classes=2), tmp_path / "teacher")
    go(spec(pairs, given(network, 2), recipe="cross_entropy", max_steps=2), tmp_path / "run")
    folder = tmp_path / "run" / "artifacts"
    with zipfile.ZipFile(folder / "student.zip") as archive:
        archive.extractall(folder / "student")
    ours, alone = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    told = []
    for code in (ours, alone):
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, {})
        told.append(out.getvalue().split()[0])
    expected = load_student(folder / "student.zip").predict([("A text.", "Another text.")])[0].label
    assert told == [expected] * 2
    assert '("A text.", "Another text.")' in ours
    assert "A text classifier for pairs" in (folder / "README.md").read_text()


def test_a_classifier_does_not_answer_and_says_so(finished: tuple[list[Event], Path]) -> None:
    student = load_student(finished[1] / "artifacts" / "student.zip")
    with pytest.raises(InvalidConfig, match="a classifier"):
        student.answer(["what does the cat do ?"])
