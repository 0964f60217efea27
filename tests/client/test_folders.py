"""Folders given to the client: a Hugging Face model, tables of texts, images; and students by whatever name."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from client import folders, packing, uploads
from client.api import Retort
from client.errors import NotThere, Unusable
from distill.data.columns import PATHS, find
from distill.data.rows import FORMS
from distill.errors import InvalidDataset
from distill.modalities.images import open_dataset
from distill.modalities.images.formats import EXTENSIONS
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.text import open_raw_text, recognised
from distill.tasks._images.delivery import header
from distill.types import Architecture, DatasetInput
from store.database import Database
from store.formats import KINDS, detect
from store.repositories import system
from tests.api.driver import Driver
from tests.client.conftest import Command
from tests.data.files import archive, image_bytes, tree, write_folder


def files(folder: Path, **contents: str) -> Path:
    """`name__json` stands for `name.json`; folders are made."""
    for name, text in contents.items():
        path = folder / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder by its names, with what nobody needs beside it."""
    folder = files(tmp_path / "minilm", config__json=json.dumps({"model_type": "bert"}), tokenizer__json="{}",
                   model__safetensors="w", README__md="x", pytorch_model__bin="p", onnx_in_model__onnx="o")  # fmt: skip
    (folder / ".gitattributes").write_text("x")
    return folder


@pytest.fixture
def language(driver: Driver, database: Database) -> None:
    with database.write() as session:
        system.publish(session, "architecture", [{"name": "transformers:auto", "library": "transformers"}])


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            if file.is_file():
                archive.write(file, f"{folder.name}/{file.name}")
    return target


def test_of_a_model_only_what_is_needed_is_sent(model: Path, tmp_path: Path) -> None:
    assert [file.name for file in folders.teacher_files(model)] == [
        "model.safetensors", "config.json", "tokenizer.json"
    ]  # fmt: skip
    assert folders.teacher_files(model / "model.safetensors") == [model / "model.safetensors"]
    with pytest.raises(NotThere, match=r"no \.safetensors"):
        folders.teacher_files(tmp_path)


def test_shards_of_another_network_come_without_its_configuration(tmp_path: Path) -> None:
    names = {"model__safetensors__index__json": "{}", "model-1__safetensors": "a", "model-2__safetensors": "b"}
    folder = files(tmp_path / "vit", config__json=json.dumps({"architecture": "vit"}), **names)
    assert len(folders.teacher_files(folder)) == 3
    assert folders.suggested_architecture(folder) is None


def test_a_folder_and_a_zip_tell_that_they_are_a_language_model(model: Path, tmp_path: Path) -> None:
    assert folders.suggested_architecture(model) == "transformers:auto"
    assert folders.suggested_architecture(zipped(model, tmp_path / "m.zip")) == "transformers:auto"
    assert folders.suggested_architecture(model / "model.safetensors") is None
    (model / "config.json").write_text("no json")
    assert folders.suggested_architecture(model) is None


def test_a_student_tells_what_it_is(tmp_path: Path) -> None:
    """As a job writes it, alone or in a folder; shards, and files without a word, do not."""
    architecture = Architecture(name="timm:resnet18", options={"zero_init_last": False})
    how = Preprocessing((0.5,) * 3, (0.2,) * 3, (32, 32))
    path = tmp_path / "student" / "student.safetensors"
    path.parent.mkdir()
    save_file({"w": torch.ones(2)}, path, header(architecture, ["a", "b"], how, None))
    assert [folders.suggested_architecture(each) for each in (path, path.parent)] == ["timm:resnet18"] * 2
    save_file({"w": torch.ones(2)}, path.parent / "other.safetensors", {"format": "pt"})
    assert folders.suggested_architecture(path.parent / "other.safetensors") is None
    assert folders.suggested_architecture(path.parent) is None
    for content in (b"", b"w" * 20, (2**40).to_bytes(8, "little"), (200_000).to_bytes(8, "little") + b"[" * 200_000):
        path.write_bytes(content)
        assert folders.suggested_architecture(path) is None


def encrypted(content: bytearray) -> None:
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1


def of_a_strange_method(content: bytearray) -> None:
    content[8] = content[content.index(b"PK\1\2") + 10] = 99


def damaged(content: bytearray) -> None:
    content[30 + len("config.json")] ^= 1


@pytest.mark.parametrize("change", [encrypted, of_a_strange_method, damaged])
def test_a_zip_that_cannot_be_read(change: Callable[[bytearray], None], tmp_path: Path) -> None:
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps({"model_type": "bert"}))
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)
    with pytest.raises(Unusable, match="cannot be read") as caught:
        folders.suggested_architecture(path)
    assert "without a password" in caught.value.remedy


def test_nesting_without_end_tells_nothing(model: Path) -> None:
    (model / "config.json").write_text("[" * 200_000)
    assert folders.suggested_architecture(model) is None


@pytest.mark.parametrize(
    ("name", "line"), [("table.jsonl", "[" * 200_000), ("table.csv", "a" * 200_000), ("table.csv", 'a,"b')]
)
def test_a_table_without_readable_columns_names_no_images(name: str, line: str, tmp_path: Path) -> None:
    files(tmp_path, **{name.replace(".", "__"): line, "x__png": ""})
    assert not packing.is_images(tmp_path, [tmp_path / name])


@pytest.mark.parametrize("layout", ["", "data"])
def test_tables_of_a_folder_are_its_parts(layout: str, tmp_path: Path) -> None:
    files(tmp_path / layout, **{"train-00000-of-00001__parquet": "", "test__parquet": "", "README__md": ""})
    with folders.dataset_files(tmp_path) as found:
        assert {role: file.name for role, file in found.items()} == {
            "train": "train-00000-of-00001.parquet", "test": "test.parquet"
        }  # fmt: skip


def test_one_table_is_the_whole_and_several_are_asked_about(tmp_path: Path) -> None:
    files(tmp_path, reviews__csv="text,label\n")
    with folders.dataset_files(tmp_path) as found:
        assert found == {"file": tmp_path / "reviews.csv"}
    files(tmp_path, others__csv="text,label\n")
    with pytest.raises(NotThere, match=r"others\.csv, reviews\.csv") as caught, folders.dataset_files(tmp_path):
        pass
    assert "--train" in caught.value.remedy


def test_a_folder_of_images_is_packed(tmp_path: Path) -> None:
    folder = files(tmp_path / "photos", cat_in_1__png="a", dog_in_2__png="b", __hidden="c")
    (folder / ".cache").symlink_to(folder / "dog")
    with folders.dataset_files(folder) as found:
        packed = found["file"]
        assert packed.name == "photos.zip"
        with zipfile.ZipFile(packed) as archive:
            assert archive.namelist() == ["cat/", "cat/1.png", "dog/", "dog/2.png"]
    assert not packed.exists()


@pytest.mark.parametrize("year", [1970, 2150])
def test_dates_that_zip_does_not_know_are_packed_too(year: int, tmp_path: Path) -> None:
    folder = files(tmp_path / "photos", cat_in_1__png="a")
    seconds = (year - 1970) * 365.25 * 86_400
    os.utime(folder / "cat" / "1.png", (seconds, seconds))
    os.utime(folder / "cat", (seconds, seconds))
    with folders.dataset_files(folder) as found, zipfile.ZipFile(found["file"]) as archive:
        assert archive.read("cat/1.png") == b"a"


@pytest.mark.usefixtures("inspector")
@pytest.mark.parametrize("target", ["dog", "dog/2.png", "nowhere"])
def test_a_link_is_refused_by_its_name_as_the_service_does(command: Command, target: str, tmp_path: Path) -> None:
    folder = files(tmp_path / "photos", cat_in_1__png="a", dog_in_2__png="b")
    (folder / "cat" / "link").symlink_to(folder / target)
    code, out = command("datasets", "add", folder)
    assert (code, "cat/link" in out, "cp -rL" in out) == (1, True, True), out


def test_an_empty_class_reaches_the_service_and_is_refused_there(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos", tree())
    (folder / "class9").mkdir()
    with folders.dataset_files(folder) as found, pytest.raises(InvalidDataset, match=r"no images \(class9\)"):
        open_dataset(archive(found["file"]))
    (folder / "class9").rmdir()
    with folders.dataset_files(folder) as found:
        opened = open_dataset(archive(found["file"]))
    assert opened.classes == ("class0", "class1")


METADATA = {
    "metadata.csv": "file_name,label\n{}cat.png,cat\n{}dog.png,dog\n",
    "metadata.jsonl": '{{"file_name": "{}cat.png", "label": "cat"}}\n{{"file_name": "{}dog.png", "label": "dog"}}\n',
    "labels.tsv": "Label\tImage\ncat\t{}cat.png\ndog\t{}dog.png\n",
}


@pytest.mark.parametrize("layout", ["", "data/"])
@pytest.mark.parametrize("below", ["", "images/"])
@pytest.mark.parametrize("table", METADATA)
def test_images_that_a_table_names_are_packed_with_it(table: str, below: str, layout: str, tmp_path: Path) -> None:
    images = {f"{layout}{below}{name}.png": image_bytes(seed) for seed, name in enumerate(("cat", "dog"))}
    listed = METADATA[table].format(below, below).encode()
    folder = write_folder(tmp_path / "pets", images | {f"{layout}{table}": listed, "README.md": b"x"})
    with folders.dataset_files(folder) as found:
        assert found["file"].name == "pets.zip"
        assert open_dataset(archive(found["file"])).classes == ("cat", "dog")


def test_class_folders_beside_a_table_about_something_else_are_packed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos", tree() | {"licences.csv": b"author,licence\nme,CC0\n"})
    with folders.dataset_files(folder) as found:
        assert open_dataset(archive(found["file"])).classes == ("class0", "class1")


@pytest.mark.parametrize("table", ["train.csv", "train.jsonl", "train.parquet"])
def test_a_picture_beside_tables_of_texts_is_none_of_the_data(table: str, tmp_path: Path) -> None:
    rows = {".csv": b"text,label\na,b\n", ".jsonl": b'{"text": "a", "label": "b"}\n', ".parquet": b"PAR1"}
    folder = write_folder(tmp_path / "news", {table: rows[Path(table).suffix], "figures/curve.png": image_bytes()})
    with folders.dataset_files(folder) as found:
        assert list(found.values()) == [folder / table]


def test_the_client_knows_what_the_service_reads() -> None:
    assert packing.IMAGES == EXTENSIONS
    assert {find([column], PATHS) for column in packing.PATHS} == packing.PATHS
    assert {ending.removesuffix(".gz") for ending in (*folders.TABLES, *folders.ARRAYS)} == {*FORMS, ".parquet"}


@pytest.mark.parametrize("form", ["csv", "jsonl", "json"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_table_that_is_offered_is_read(form: str, packed: bool, tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "label": i % 2} for i in range(10)]
    made = {
        "csv": "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows),
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "json": json.dumps(rows),
    }[form].encode()
    name = f"Reviews.{form.upper()}{'.gz' if packed else ''}"
    write_folder(tmp_path, {name: gzip.compress(made, mtime=0) if packed else made, "dataset_info.json": b'{"a": 1}'})
    with folders.dataset_files(tmp_path) as found:
        assert found == {"file": tmp_path / name}
        kind = KINDS[detect(found["file"]) or "zip"]
        given = recognised(DatasetInput(kind=kind, name="x", files={"all": str(found["file"])}))
        assert open_raw_text(given).classes == ("0", "1")


@pytest.mark.usefixtures("inspector", "language")
@pytest.mark.parametrize("large", [False, True])
def test_a_folder_is_registered_with_one_command(
    command: Command, model: Path, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(uploads, "LARGE_BYTES", 1)
    code, out = command("--json", "teachers", "add", model)
    assert code == 0, out
    teacher = json.loads(out[out.index("{") :])
    assert (teacher["name"], teacher["architecture"]["name"]) == ("minilm", "transformers:auto")
    sent = {file["filename"] for file in teacher["source"]["files"]}
    assert sent == {"config.json", "model.safetensors", "tokenizer.json"}


@pytest.mark.usefixtures("inspector")
def test_a_folder_of_tables_is_registered_with_one_command(command: Command, driver: Driver, tmp_path: Path) -> None:
    files(tmp_path / "news", train__jsonl='{"text": "a", "label": "b"}\n', test__jsonl='{"text": "a", "label": "b"}\n')
    code, out = command("--json", "datasets", "add", tmp_path / "news")
    assert code == 0, out
    dataset = json.loads(out)
    assert (dataset["name"], set(dataset["files"])) == ("news", {"train", "test"})
    code, out = command("teachers", "add", tmp_path / "news" / "train.jsonl")
    assert (code, "Name it" in out) == (1, True)


@pytest.mark.parametrize("name", ["student.safetensors", "student.zip"])
def test_the_student_is_found_whatever_it_is_called(
    name: str, command: Command, retort: Retort, driver: Driver, tmp_path: Path
) -> None:
    job_id = driver.job()
    code, out = command("download", job_id, "student")
    assert (code, "no student yet" in out) == (1, True)
    driver.succeed(job_id, b"weights", name)
    assert command("download", job_id, "student", "-o", tmp_path / "cli")[0] == 0
    assert (tmp_path / "cli" / name).read_bytes() == b"weights"
    assert retort.download_student(job_id, tmp_path) == tmp_path / name
    assert retort.download_student(job_id, tmp_path / "mine.bin").read_bytes() == b"weights"
