"""Tars of class folders, and tars of which each is one class: where classes come from, and what is refused by name."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from distill.commands.shards import shards as command
from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.types import DatasetInput
from tests.data.files import image_bytes, write_tar, write_zip
from tests.data.shard_files import of_shards

FOLDERS = ["train/cat", "train/10", "train/2", "test/cat", "test/10", "test/2"]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RETORT_SHARD_CACHE", str(tmp_path / "cache"))


def images(folders, each=3, start=0):
    names = [f"{folder}/{n}.jpg".lstrip("/") for folder in folders for n in range(each)]
    return {name: image_bytes(start + i, (20, 24), form="JPEG") for i, name in enumerate(names)}


def write(folder, **shards):
    folder.mkdir(exist_ok=True)
    for name, files in shards.items():
        write_tar(folder / f"{name}.tar", files)
    return folder


def classes_by_image(dataset):
    """Split -> content -> class."""
    found = {}
    for split, samples in (("train", dataset.train), ("test", dataset.test)):
        items = samples._store.split
        found[split] = {items.images.content(i): dataset.classes[label] for i, label in enumerate(items.labels)}
    return found


def refused(dataset):
    with pytest.raises(InvalidDataset) as caught:
        open_dataset(dataset)
    assert caught.value.remedy
    return caught.value.details


def test_class_folders_are_classes_and_splits_as_in_an_archive(tmp_path):
    """One folder of a class may lie in several shards; a class list orders and numbers nothing here."""
    files = images(FOLDERS)
    half = {name: data for i, (name, data) in enumerate(files.items()) if i % 2}
    rest = {name: data for name, data in files.items() if name not in half}
    streamed = open_dataset(of_shards(write(tmp_path / "s", a=half, b=rest)))
    archive = open_dataset(
        DatasetInput(kind="archive", name="a", files={"all": str(write_zip(tmp_path / "a.zip", files))})
    )
    assert streamed.classes == archive.classes == ("10", "2", "cat")
    assert classes_by_image(streamed) == classes_by_image(archive)
    report = inspect(of_shards(tmp_path / "s")).to_dict()
    assert report["counts"] == {"train": [3, 3, 3], "test": [3, 3, 3]}
    assert any("folders of the images" in note for note in report["notes"])


def test_folders_without_splits_hold_out_by_hash_and_a_class_list_names_them(tmp_path):
    files = images(["0", "1"], each=40)
    (write(tmp_path / "s", a=files) / "classes.txt").write_text("dog\ncat\n")
    dataset = open_dataset(of_shards(tmp_path / "s"))
    assert dataset.classes == ("dog", "cat")
    found = classes_by_image(dataset)
    assert found["train"] | found["test"] == {files[name]: ("dog", "cat")[int(name[0])] for name in files}
    assert 0 < len(dataset.test) < 40


def test_shards_that_say_splits_hold_class_folders(tmp_path):
    write(tmp_path / "s", **{"p-train-0": images(["cat", "dog"]), "p-val-0": images(["cat", "dog"], start=20)})
    (tmp_path / "s" / "p-val-0.tar").unlink()
    write(tmp_path / "s", **{"p-val-0": {f"{n[:3]}/v{n[4:]}": d for n, d in images(["cat", "dog"], start=20).items()}})
    dataset = open_dataset(of_shards(tmp_path / "s"))
    assert (dataset.classes, len(dataset.train), len(dataset.test)) == (("cat", "dog"), 6, 6)
    assert Counter(classes_by_image(dataset)["test"].values()) == {"cat": 3, "dog": 3}


def test_what_is_in_a_folder_unlabelled_trains_without_a_label(tmp_path):
    files = images(["train/cat", "train/dog", "unlabelled"], each=4) | images(["test/cat", "test/dog"], start=30)
    dataset = open_dataset(of_shards(write(tmp_path / "s", a=files)))
    assert dataset.train.labels.tolist().count(-1) == 4
    assert (len(dataset.train), len(dataset.test)) == (12, 6)


def test_a_label_file_of_one_image_leaves_folders_out_of_it(tmp_path):
    files = images(["a"], each=8)
    labelled = {}
    for name, data in files.items():
        labelled |= {name: data, name.replace("jpg", "cls"): str(int(name[2]) % 2).encode()}
    labelled |= images(["b"], each=1, start=50)
    dataset = open_dataset(of_shards(write(tmp_path / "s", a=labelled)))
    assert dataset.classes == ("0", "1")
    assert dataset.train.labels.tolist().count(-1) == 1


MIXED = {
    "loose at the top": ({"9.jpg": image_bytes(9)}, "9"),
    "loose in a split": ({"train/9.jpg": image_bytes(9)}, "train/9"),
    "nested": ({"train/cat/session/9.jpg": image_bytes(9)}, "train/cat/session/9"),
}


@pytest.mark.parametrize("fault", MIXED)
def test_a_mixture_is_refused_by_shard_and_key(tmp_path, fault):
    more, key = MIXED[fault]
    details = refused(of_shards(write(tmp_path / "s", a=images(FOLDERS), b=more)))
    assert (details["shard"].endswith("b.tar"), details["key"]) == (True, key)


def test_what_an_archive_refuses_is_refused(tmp_path):
    assert refused(of_shards(write(tmp_path / "one", a=images(["cat"]))))["classes"] == ["cat"]
    lacking = images(["train/cat", "train/dog", "test/cow"])
    assert refused(of_shards(write(tmp_path / "two", a=lacking)))["classes"] == ["cow"]
    doubt = images(["train", "car", "train/cat"])
    assert "train" in refused(of_shards(write(tmp_path / "three", a=doubt)))["folders"]
    several = write(tmp_path / "four", **{"p-train": images(["train/cat", "test/cat", "train/dog", "test/dog"])})
    write(several, **{"p-test": images(["cat", "dog"], start=40)})
    assert refused(of_shards(several))["splits"] == ["test", "train"]


def test_folders_are_no_classes_where_that_was_said(tmp_path):
    dataset = of_shards(write(tmp_path / "s", a=images(["00000"], each=9), b=images(["00001"], each=9, start=20)))
    assert open_dataset(dataset).classes == ("00000", "00001")
    assert open_dataset(dataset.model_copy(update={"classes_from": "none"})).classes == ()


def imagenet(folder):
    """Tars as ImageNet's own: names with gaps between their numbers, images in no folder, one name in both."""
    return write(
        folder, n01440764=images([""], each=20), n01443537=images([""], each=20, start=30),
        n00000002=images([""], each=20, start=60),
    )  # fmt: skip


def by_shard(given, **roles):
    return of_shards(given, **roles).model_copy(update={"classes_from": "shards"})


def test_each_shard_is_a_class_where_that_was_asked_for(tmp_path):
    dataset = open_dataset(by_shard(imagenet(tmp_path / "s")))
    assert dataset.classes == ("n00000002", "n01440764", "n01443537")
    found = classes_by_image(dataset)
    first = {image_bytes(n, (20, 24), form="JPEG") for n in range(20)}
    assert {data for data, name in (found["train"] | found["test"]).items() if name == "n01440764"} == first
    with pytest.raises(InvalidDataset):  # never guessed: their names count with a gap
        open_dataset(of_shards(tmp_path / "s"))
    tars = write(tmp_path / "t", cat=images([""]), dog={"x.jpg": image_bytes(7)})
    assert open_dataset(of_shards(tars)).classes == ()
    assert any("classes_from" in note for note in inspect(of_shards(tars)).to_dict()["notes"])


def test_each_shard_is_a_class_of_its_role(tmp_path):
    train, test = imagenet(tmp_path / "train"), imagenet(tmp_path / "test")
    dataset = open_dataset(by_shard("", train=train, test=test))
    assert (len(dataset.classes), len(dataset.train), len(dataset.test)) == (3, 60, 60)


def test_shards_that_are_no_classes_are_refused_by_their_name(tmp_path):
    inside = write(tmp_path / "a", cat=images([""]), dog=images(["x"]))
    assert refused(by_shard(inside))["key"] == "x/0"
    labelled = write(tmp_path / "b", cat=images([""]), dog=images([""], each=1, start=20) | {"0.cls": b"1"})
    assert refused(by_shard(labelled))["shard"].endswith("dog.tar")
    write(tmp_path / "c", cat=images([""])), write(tmp_path / "d", cat=images([""], start=20))
    (tmp_path / "list.txt").write_text("c/cat.tar\nd/cat.tar\n")
    assert refused(by_shard(tmp_path / "list.txt"))["classes"] == ["cat"]


def test_the_command_takes_classes_from_shards_and_keeps_them_in_the_index(tmp_path):
    folder, path = imagenet(tmp_path / "s"), tmp_path / "i.shards"
    asked = ["--dataset", str(folder), "--classes-from", "shards", "--index", str(path), "--processes", "2"]
    made = CliRunner().invoke(command, asked)
    assert made.exit_code == 0, made.output
    report = json.loads(made.output)
    assert report["classes"] == ["n00000002", "n01440764", "n01443537"]
    assert any("names of the shards" in note for note in report["notes"])
    assert open_dataset(DatasetInput(kind="shards", name="i", files={"index": str(path)})).classes == tuple(
        report["classes"]
    )
