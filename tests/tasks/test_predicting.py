"""Every task's finished networks are asked about single samples, and its run ranks the test samples on which they
differ; a task without the module says that its students are not asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from distill import predictor, tasks
from distill.errors import InvalidDataset
from distill.predictor import STUDENT, NotPredictable, Predictor, TeacherFile
from distill.tasks.prediction import InvalidSample, Writing
from tests.tasks.house import House, go

Get = Callable[[str], House]
ASKED = [name for name in tasks.names() if tasks.has(name, "predicting")]
KINDS = {
    "classify_images": "class", "classify_text": "class", "detect_objects": "boxes", "generate_text": "text",
    "segment_images": "mask", "tag_images": "labels",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(house: Get, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[House, Path]]:
    """A run of the task with a teacher, by its name; made once."""
    made: dict[str, Path] = {}

    def get(name: str) -> tuple[House, Path]:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(name)
            assert go(house(name).spec(recipe="logit", max_steps=2), made[name])[-1].kind == "done"
        return house(name), made[name] / "artifacts"

    return get


def opened(name: str, made: House, folder: Path, scratch: Path) -> Predictor:
    found = Predictor.load(name, next(folder.glob("student.[sz]*")), scratch)
    told = json.loads((folder / "report.json").read_text())["teacher"]
    found.add("teacher", TeacherFile(told, Path(made.teacher.weights)))
    return found


def sample(name: str, folder: Path) -> Any:
    if tasks.spec(name).modality == "texts":
        return "the cat runs"
    path = folder / "picture.png"
    Image.linear_gradient("L").resize((37, 23)).convert("RGB").save(path)
    return str(path)


def test_every_task_of_ours_is_asked() -> None:
    assert sorted(KINDS) == ASKED


@pytest.mark.parametrize("name", ASKED)
def test_student_and_teacher_answer_in_the_tasks_form(
    name: str, finished: Callable[[str], tuple[House, Path]], tmp_path: Path
) -> None:
    made, folder = finished(name)
    networks, parts = opened(name, made, folder, tmp_path), list[str]()
    asked = [sample(name, tmp_path)] * 2
    writing = Writing(max_tokens=6)
    said = list(
        networks.answers(asked, [STUDENT, "teacher"], writing, lambda i, name, part: parts.append(f"{name}{i}"))
    )
    assert [each.network for each in said] == [STUDENT, "teacher"]
    for each in said:
        assert each.answers[0] == each.answers[1]
        assert json.loads(json.dumps(each.answers[0]))["kind"] == KINDS[name]
    first, second = said[0].answers[0], said[1].answers[0]
    assert 0 <= networks.how.agreement(first, second) <= 1
    assert networks.how.agreement(first, first) == 1
    if KINDS[name] != "text":
        assert not parts
    if KINDS[name] in {"boxes", "mask"}:
        assert (first["width"], first["height"]) == (37, 23)


@pytest.mark.parametrize("name", ASKED)
def test_what_is_no_sample_is_named_with_its_place(
    name: str, finished: Callable[[str], tuple[House, Path]], tmp_path: Path
) -> None:
    made, folder = finished(name)
    networks, good = opened(name, made, folder, tmp_path), sample(name, tmp_path)
    bad: Any = {"text": 1}
    if tasks.spec(name).modality == "images":
        (tmp_path / "bad.png").write_bytes(b"no picture")
        bad = str(tmp_path / "bad.png")
    with pytest.raises((InvalidSample, InvalidDataset)) as raised:
        list(networks.answers([good, bad], [STUDENT], Writing(max_tokens=1), lambda *_: None))
    assert raised.value.details["input"] == 1


@pytest.mark.parametrize("name", ASKED)
def test_a_run_ranks_what_its_networks_differ_on(
    name: str, finished: Callable[[str], tuple[House, Path]], tmp_path: Path
) -> None:
    _, folder = finished(name)
    found = json.loads((folder / "disagreements.json").read_text())
    scores = [each["score"] for each in found["items"]]
    assert scores
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    assert found["task"] == name
    assert len({each["sample"] for each in found["items"]}) == len(scores)
    assert [each["rank"] for each in found["items"]] == list(range(1, len(scores) + 1))
    for each in found["items"]:
        assert {"student", "teacher"} <= each.keys()
    if tasks.spec(name).modality == "texts":
        assert found["sheet"] is None
        assert all(each["text"] for each in found["items"])
        return
    with Image.open(folder / found["sheet"]["name"]) as sheet:
        assert sheet.size == (found["sheet"]["width"], found["sheet"]["height"])
    tiles = [each["tile"] for each in found["items"]]
    assert len({(tile["x"], tile["y"]) for tile in tiles}) == len(tiles)
    assert all(tile["x"] + tile["width"] <= found["sheet"]["width"] for tile in tiles)


def test_the_ranking_of_a_classifier_is_that_of_its_probabilities(
    finished: Callable[[str], tuple[House, Path]], tmp_path: Path
) -> None:
    """The divergence by hand, of what both networks say of the ranked texts."""
    import math

    made, folder = finished("classify_text")
    networks = opened("classify_text", made, folder, tmp_path)
    for item in json.loads((folder / "disagreements.json").read_text())["items"][:3]:
        p, q = (n.probabilities([item["text"]])[0].tolist() for n in (networks.student, networks.teachers["teacher"]))
        m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
        bits = sum(a * math.log2(a / c) + b * math.log2(b / c) for a, b, c in zip(p, q, m, strict=True)) / 2
        assert item["score"] == pytest.approx(bits, abs=2e-3)  # probabilities are kept with 16 bits


def test_texts_are_drawn_by_their_seed_and_told_while_they_are_written(
    finished: Callable[[str], tuple[House, Path]], tmp_path: Path
) -> None:
    made, folder = finished("generate_text")
    networks = opened("generate_text", made, folder, tmp_path)

    def written(**how: Any) -> tuple[str, str]:
        parts = list[str]()
        (said,) = networks.answers(
            ["say a word"], [STUDENT], Writing(max_tokens=12, **how), lambda *g: parts.append(g[2])
        )
        return said.answers[0]["text"], "".join(parts).strip()

    assert written()[0] == written(seed=5)[0]
    first, again, other = (written(temperature=1.5, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert all(text == told for text, told in (written(), first, other))


def test_a_task_without_the_module_says_so() -> None:
    with pytest.raises(NotPredictable) as raised:
        predictor.predicting("regress_images")
    assert raised.value.fault == "user"
