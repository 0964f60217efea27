"""Folders that strangers' archives call their splits, and what is a class all the same."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from distill.data.split_names import meaning, split_of, splits_among
from distill.errors import InvalidDataset
from distill.modalities.images import inspect
from distill.modalities.images.report import DatasetReport
from tests.data.files import archive, image_bytes, write_zip


def folders(*names: str, count: int = 3) -> dict[str, bytes]:
    return {f"{name}/{i}.png": image_bytes(50 * n + i) for n, name in enumerate(names) for i in range(count)}


def crossed(splits: str, classes: str = "cat dog") -> dict[str, bytes]:
    """Images of each class in each split's folder; `{}` of a split stands for the class."""
    names = [f"{split}/{label}" for split in splits.split() for label in classes.split()]
    return folders(*names)


def read(path: Path, files: dict[str, bytes]) -> DatasetReport:
    return inspect(archive(write_zip(path / "a.zip", files)))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("TRAINING", "train"), ("training_set", "train"), ("Train_data", "train"),
        ("train_images", "train"), ("trainImages", "train"), ("TrainSet", "train"), ("trainset", "train"),
        ("train2017", "train"), ("train-00000-of-00001", "train"), ("test set", "test"), ("testing", "test"),
        ("val", "validation"), ("valid", "validation"), ("dev", "validation"), ("data_validation", "validation"),
        ("predictions", "prediction"), ("Unlabeled_images", "unlabelled"), ("trainval", "train"),
        ("train_val", "train"),
        ("bullet_train", None), ("test_tube", None), ("train_test", None),
        ("trained", None), ("contest", None), ("cat", None), ("", None), ("123", None),
    ],
)  # fmt: skip
def test_names_that_surely_say_a_split(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_a_word_of_its_own_counts_beside_its_pair_only() -> None:
    found = meaning("seg_train")
    assert found is not None
    assert found.rest == ("seg",)
    assert splits_among(["seg_train", "cat"]) == {}
    assert set(splits_among(["seg_train", "seg_test", "bullet_train"])) == {"seg_train", "seg_test"}


@pytest.mark.parametrize(
    "splits",
    [
        "training_set test_set", "seg_train seg_test", "Train_data Test_data", "trainImages testImages",
        "train2017 val2017", "trainset testset", "TRAIN TEST", "train test_images", "my_train my_val",
        "trainval test", "train_val test", "seg_train/seg_train seg_test/seg_test",
        "train/images test/images", "a/b/train a/b/test",
    ],
)  # fmt: skip
@pytest.mark.parametrize("top", ["", "archive/"])
def test_split_folders_are_no_classes(splits: str, top: str, tmp_path: Path) -> None:
    found = read(tmp_path, {top + name: data for name, data in crossed(splits).items()})
    assert found.classes == ("cat", "dog")
    assert found.counts == {"train": [3, 3], "test": [3, 3]}


def test_what_has_no_labels_is_left_out_by_name(tmp_path: Path) -> None:
    found = read(tmp_path, crossed("seg_train seg_test") | folders("seg_pred"))
    assert found.classes == ("cat", "dog")
    assert "Not used: the folder 'seg_pred' (3 images)." in found.notes
    assert any("'seg_train' as train" in note for note in found.notes)


@pytest.mark.parametrize(
    "names",
    [("bullet_train", "car", "plane"), ("bullet_train", "steam_train"), ("beaker", "test_tube"), ("invalid", "valid")],
)
def test_classes_with_a_splits_word_in_their_name_stay_classes(names: tuple[str, ...], tmp_path: Path) -> None:
    assert read(tmp_path, folders(*names)).classes == tuple(sorted(names))


@pytest.mark.parametrize(
    ("files", "word"),
    [
        (folders("cats_train", "dogs_train", "cats_test", "dogs_test"), "'cats_train' and 'dogs_train'"),
        (crossed("train training test"), "'train' and 'training'"),
        (crossed("test val"), "none is for training"),
        (folders("cat/train", "cat/test", "dog"), "'dog' holds images elsewhere"),
    ],
)
def test_what_leaves_it_in_doubt_is_refused(files: dict[str, bytes], word: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=word) as caught:
        read(tmp_path, files)
    assert "train/" in caught.value.remedy


@pytest.mark.parametrize("splits", ["train test valid", "train_images test_images valid_images", "trainval test dev"])
def test_class_folders_that_hold_the_splits_are_turned_round(splits: str, tmp_path: Path) -> None:
    found = read(tmp_path, crossed("cat dog", splits))
    assert found.classes == ("cat", "dog")
    assert found.counts == {"train": [3, 3], "test": [3, 3]}
    assert "Not used: 6 images of the split 'validation'." in found.notes


def test_images_outside_class_folders_are_counted(tmp_path: Path) -> None:
    loose = {"train/x.png": image_bytes(901), "y.png": image_bytes(902), "test/cat/notes.txt": b"x"}
    notes = read(tmp_path, crossed("train test") | loose).notes
    assert any(note.startswith("1 images of the split 'train' lie in no class folder") for note in notes)
    assert "Not used: 1 images beside the split folders." in notes
    assert any("1 of class 'test/cat'" in note for note in notes)


def test_a_part_that_holds_splits_of_its_own(tmp_path: Path) -> None:
    both, plain = (
        write_zip(tmp_path / "a.zip", crossed("train test")),
        write_zip(tmp_path / "b.zip", folders("cat", "dog")),
    )
    given = archive(both)
    found = inspect(given.model_copy(update={"files": {"train": str(both), "test": str(plain)}}))
    assert "Not used: 6 images of the test split within the train file." in found.notes
    with pytest.raises(InvalidDataset, match="splits of its own"):
        inspect(given.model_copy(update={"files": {"train": str(plain), "test": str(both)}}))


@pytest.mark.parametrize("entries", [False, True])
def test_an_empty_class_is_one_with_or_without_entries_for_folders(entries: bool, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("cat/", "dog/", "bird/") if entries else ():
            file.writestr(name, b"")
        for name, data in (folders("cat", "dog") | {"bird/a.txt": b"hello", "bird/b.txt": b"hello"}).items():
            file.writestr(name, data)
    with pytest.raises(InvalidDataset, match="bird: 2 files, none an image"):
        inspect(archive(tmp_path / "a.zip"))


def test_an_archive_of_tables_is_told_what_to_send(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="no class folders") as caught:
        read(tmp_path, {"train.csv": b"text,label\na,b\n", "test.csv": b"text,label\na,b\n"})
    assert "upload the tables themselves" in caught.value.remedy
