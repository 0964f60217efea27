"""Which task files are of: told by what is most sure, or asked for and then held to."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from distill import tasks
from distill.errors import InvalidDataset, UnknownName
from distill.tasks.inspection import inspect, named_sets, task_of
from distill.types import DatasetInput
from tests.data.files import image_bytes

TEXTS = "text,label\n" + "".join(f"it {verb} at once {i},{verb}\n" for i in range(10) for verb in ("broke", "held"))
ASKED = "instruction,output\n" + "".join(f"Name bird {i}.,A wren {i}.\n" for i in range(10))
UNKNOWN = "colour,weight\nred,1\nblue,2\n"
DEPTHS = '''
"""Pictures with depths."""
from dataclasses import replace
from distill.tasks.classify_images import SPEC as CLASSES
SPEC = replace(CLASSES, name="depths", title="Depths", architectures=("torchvision:depth_",), older_kind=None,
               files=("zip with `images/` and `depths/`",))
'''
INSPECT = """
import zipfile
from distill.tasks.inspection import Likeness

def recognise(dataset):
    if dataset.kind != "archive":
        return Likeness.NO
    with zipfile.ZipFile(next(iter(dataset.files.values()))) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    return Likeness.SURE if {"images", "depths"} <= tops else Likeness.NO

def inspect(dataset, room):
    return {"classes": ["sky", "road"], "counts": {"train": [1, 1], "test": [1, 1]}}

def named():
    return [{"name": "streets", "summary": "Streets."}]
"""


@pytest.fixture
def depths(tmp_path: Path) -> Iterator[str]:
    """One more folder of tasks, as `RETORT_EXTENSIONS` names it."""
    folder = tmp_path / "more" / "tasks" / "depths"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(DEPTHS)
    (folder / "inspect.py").write_text(INSPECT)
    tasks.__path__.append(str(folder.parent))
    yield "depths"
    tasks.__path__.remove(str(folder.parent))
    for name in [name for name in sys.modules if name.startswith("distill.tasks.depths")]:
        del sys.modules[name]


def table(path: Path, text: str, task: str = "") -> DatasetInput:
    path.write_text(text)
    return DatasetInput(kind="table", name=path.name, files={"all": str(path)}, task=task)


def archive(path: Path, folders: tuple[str, ...], task: str = "") -> DatasetInput:
    with zipfile.ZipFile(path, "w") as made:
        for at, folder in enumerate(folders):
            for i in range(6):
                made.writestr(f"{folder}/{i}.png", image_bytes(40 * i + at))
    return DatasetInput(kind="archive", name=path.name, files={"all": str(path)}, task=task)


def test_files_tell_their_task(tmp_path: Path) -> None:
    assert task_of(table(tmp_path / "a.csv", TEXTS)) == "classify_text"
    assert task_of(table(tmp_path / "b.csv", ASKED)) == "generate_text"
    assert task_of(archive(tmp_path / "c.zip", ("cat", "dog"))) == "classify_images"
    assert inspect(DatasetInput(kind="named", name="digits"))["task"] == "classify_images"


def test_what_is_sure_goes_before_what_may_be(depths: str, tmp_path: Path) -> None:
    """A zip of images and depths would make two classes, were nobody surer."""
    data = archive(tmp_path / "m.zip", ("images", "depths"))
    assert inspect(data)["task"] == depths
    assert task_of(archive(tmp_path / "c.zip", ("cat", "dog"))) == "classify_images"


@pytest.mark.parametrize(
    ("text", "task", "found"),
    [
        (TEXTS, "generate_text", ["classify_text"]),
        (ASKED, "classify_text", ["generate_text"]),
        (TEXTS, "classify_images", ["classify_text"]),
        (UNKNOWN, "classify_text", []),
    ],
)
def test_files_of_another_task_than_asked_for_are_refused_by_name(
    text: str, task: str, found: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InvalidDataset) as caught:
        inspect(table(tmp_path / "a.csv", text, task))
    assert caught.value.details == {"task": task, "found": found}
    assert task in caught.value.message
    assert all(tasks.spec(name).title in caught.value.message for name in found)
    assert tasks.spec(task).files[0] in caught.value.remedy


def test_depths_are_no_classes_even_where_classes_are_asked_for(depths: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="Depths"):
        task_of(archive(tmp_path / "m.zip", ("images", "depths"), "classify_images"))


def test_files_of_two_tasks_alike_must_be_told(depths: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distill.tasks.inspection import Likeness

    monkeypatch.setattr(tasks.part(depths, "inspect"), "recognise", lambda _: Likeness.MAYBE)
    data = archive(tmp_path / "c.zip", ("cat", "dog"))
    with pytest.raises(InvalidDataset) as caught:
        task_of(data)
    assert caught.value.details == {"found": ["classify_images", depths]}
    assert task_of(data.model_copy(update={"task": depths})) == depths


def test_what_no_task_takes_and_what_is_no_task(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        task_of(DatasetInput(kind="named", name="digits", task="sort_pebbles"))
    (tmp_path / "t.csv").write_text(UNKNOWN)
    with pytest.raises(InvalidDataset, match="of no task"):
        task_of(DatasetInput(kind="text", name="t", files={"all": str(tmp_path / "t.csv")}))


def test_named_sets_have_their_task(depths: str) -> None:
    sets = {entry["name"]: entry["task"] for entry in named_sets()}
    assert sets["streets"] == depths
    assert sets["digits"] == "classify_images"


def test_a_longer_prefix_takes_a_family_out_of_a_library(depths: str) -> None:
    assert tasks.accepting("torchvision:depth_resnet50") == (depths,)
    assert tasks.accepting("torchvision:resnet50") == ("classify_images", "tag_images")
    assert tasks.accepting("nowhere:net") == ()
    assert (tasks.container("transformers:bert"), tasks.container("nowhere:net")) == ("folder", "weights")


def test_reports_tell_their_task() -> None:
    assert tasks.of_report({"task": "classify_text", "kind": "generate"}) == "classify_text"
    assert [tasks.of_report(report) for report in (None, {}, {"task": "sort_pebbles"}, {"kind": "x"})] == [""] * 4


def test_results_tell_their_task() -> None:
    older = {"dataset": {"kind": "generate", "train": 1}}
    assert [tasks.of_result(result) for result in (older, {"dataset": {"train": 1}})] == [
        "generate_text",
        "classify_images",
    ]
    assert tasks.of_result(older | {"task": "classify_text"}) == "classify_text"
    assert tasks.of_result({"task": "sort_pebbles", "dataset": {"train": 1}}) == ""  # an extension that is gone
