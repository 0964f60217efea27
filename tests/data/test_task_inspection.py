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
MASKS = '''
"""Pictures with masks."""
from dataclasses import replace
from distill.tasks.classify_images import SPEC as CLASSES
SPEC = replace(CLASSES, name="masks", title="Masks", architectures=("torchvision:regnet_",), older_kind=None,
               files=("zip with `images/` and `outlines/`",))
'''
INSPECT = """
import zipfile
from distill.tasks.inspection import Likeness

def recognise(dataset):
    if dataset.kind != "archive":
        return Likeness.NO
    with zipfile.ZipFile(next(iter(dataset.files.values()))) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    return Likeness.SURE if {"images", "outlines"} <= tops else Likeness.NO

def inspect(dataset, room):
    return {"classes": ["sky", "road"], "counts": {"train": [1, 1], "test": [1, 1]}}

def named():
    return [{"name": "streets", "summary": "Streets."}]
"""


@pytest.fixture
def masks(tmp_path: Path) -> Iterator[str]:
    """One more folder of tasks, as `RETORT_EXTENSIONS` names it."""
    folder = tmp_path / "more" / "tasks" / "masks"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(MASKS)
    (folder / "inspect.py").write_text(INSPECT)
    tasks.__path__.append(str(folder.parent))
    yield "masks"
    tasks.__path__.remove(str(folder.parent))
    for name in [name for name in sys.modules if name.startswith("distill.tasks.masks")]:
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


def test_what_is_sure_goes_before_what_may_be(masks: str, tmp_path: Path) -> None:
    """A zip of images and masks would make two classes, were nobody surer."""
    data = archive(tmp_path / "m.zip", ("images", "outlines"))
    assert inspect(data)["task"] == masks
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


def test_masks_are_no_classes_even_where_classes_are_asked_for(masks: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="Masks"):
        task_of(archive(tmp_path / "m.zip", ("images", "masks"), "classify_images"))


def test_files_of_two_tasks_alike_must_be_told(masks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distill.tasks.inspection import Likeness

    monkeypatch.setattr(tasks.part(masks, "inspect"), "recognise", lambda _: Likeness.MAYBE)
    data = archive(tmp_path / "c.zip", ("cat", "dog"))
    with pytest.raises(InvalidDataset) as caught:
        task_of(data)
    assert caught.value.details == {"found": ["classify_images", masks]}
    assert task_of(data.model_copy(update={"task": masks})) == masks


def test_what_no_task_takes_and_what_is_no_task() -> None:
    with pytest.raises(UnknownName):
        task_of(DatasetInput(kind="named", name="digits", task="sort_pebbles"))
    with pytest.raises(InvalidDataset, match="of no task"):
        task_of(DatasetInput(kind="text", name="t", files={"all": __file__}))


def test_named_sets_have_their_task(masks: str) -> None:
    sets = {entry["name"]: entry["task"] for entry in named_sets()}
    assert sets["streets"] == masks
    assert sets["digits"] == "classify_images"


def test_a_longer_prefix_takes_a_family_out_of_a_library(masks: str) -> None:
    assert tasks.accepting("torchvision:fcn_resnet50") == (masks,)
    assert tasks.accepting("torchvision:resnet50") == ("classify_images",)
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
