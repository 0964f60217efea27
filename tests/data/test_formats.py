"""Images by content: names without ending, with another's, and formats that are not read."""

from __future__ import annotations

import io
import tarfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from distill.errors import InvalidDataset
from distill.modalities.images import inspect
from distill.modalities.images.formats import AVIF, EXTENSIONS, FORMATS, sniff
from distill.types import DatasetInput
from tests.data.files import archive, image_bytes, tree, write_folder, write_tar, write_zip

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
WRITERS: dict[str, Callable[..., Path]] = {
    "zip": write_zip,
    "tar": write_tar,
    "tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "folder": write_folder,
}
FORMS = [form for form in FORMATS if form != "PPM"]


def given_as(kind: str, path: Path, files: dict[str, bytes]) -> DatasetInput:
    WRITERS[kind](path, files)
    return DatasetInput(kind="folder" if kind == "folder" else "archive", name="x", files={"all": str(path)})


def bird(ending: str, data: Callable[[int], bytes]) -> dict[str, bytes]:
    return tree(2, 5) | {f"bird/{i}{ending}": data(i) for i in range(5)}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("ending", ["", ".jfif", ".JFIF", ".heic", ".dat", ".jpeg_large"])
def test_an_ending_says_nothing(kind: str, ending: str, tmp_path: Path) -> None:
    found = inspect(given_as(kind, tmp_path / "a", bird(ending, lambda i: image_bytes(900 + i, form="JPEG"))))
    assert found.classes == ("bird", "class0", "class1")
    assert found.counts["train"] == [4, 4, 4]


@pytest.mark.parametrize("form", FORMS)
def test_every_format_is_known_by_its_first_bytes(form: str, tmp_path: Path) -> None:
    assert sniff(image_bytes(form=form)[:144]) == form
    found = inspect(given_as("zip", tmp_path / "a", bird("", lambda i: image_bytes(900 + i, (16, 16), form=form))))
    assert found.classes == ("bird", "class0", "class1")


def test_ppm_and_both_orders_of_bytes() -> None:
    assert sniff(image_bytes(form="PPM")) == "PPM"
    assert (sniff(b"MM\0*" + bytes(9)), sniff(b"II*\0" + bytes(9))) == ("TIFF", "TIFF")


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("ending", ["", ".heic", ".HEIC", ".jpg"])
def test_what_is_not_read_is_refused_by_its_name(kind: str, ending: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=r"bird/0.*it is HEIC") as caught:
        inspect(given_as(kind, tmp_path / "a", bird(ending, lambda i: HEIC)))
    assert "JPEG or PNG" in caught.value.remedy


def test_few_that_are_not_read_are_counted_by_class(tmp_path: Path) -> None:
    found = inspect(given_as("zip", tmp_path / "a", tree(2, 100) | {"class1/x.heic": HEIC}))
    assert any("class1/x.heic" in note and "1 of 101 of class 'class1' in train" in note for note in found.notes)


@pytest.mark.parametrize("data", [b"<html>", b"hello", b"", b"%PDF-1.4", b"BM", b"P9 1", b"\0" * 200])
def test_what_is_no_image_is_none(data: bytes, tmp_path: Path) -> None:
    found = inspect(given_as("zip", tmp_path / "a", tree(2, 5) | {"class0/file": data}))
    assert any("1 of class 'class0'" in note for note in found.notes)


@given(st.binary(max_size=200))
def test_first_bytes_of_anything_name_a_format_or_none(data: bytes) -> None:
    assert sniff(data) is None or isinstance(sniff(data), str)


def test_avif_is_read_where_pillow_can() -> None:
    assert ("AVIF" in FORMATS) == AVIF
    assert {".jfif", ".avif"} <= EXTENSIONS


def test_no_more_of_a_member_is_read_than_its_first_bytes(tmp_path: Path) -> None:
    """A file that is no image costs no memory, however well it is packed."""
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as file:
        for name, data in (tree(2, 5) | {"class0/video": b"\1" * 60_000}).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    found = inspect(archive(tmp_path / "a.tar.gz"))
    assert found.counts["train"] == [4, 4]


def sixteen_bit(seed: int, bits: int) -> bytes:
    out = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 2**bits, (16, 16)).astype(np.uint16)
    values[0, 0] = 2**bits - 1
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_range_of_16_bit_images_is_told(bits: int, tmp_path: Path) -> None:
    files = {f"{label}/{i}.png": sixteen_bit(100 * n + i, bits) for n, label in enumerate("ab") for i in range(5)}
    notes = [note for note in inspect(given_as("zip", tmp_path / "a", files)).notes if "16 bits" in note]
    assert bool(notes) == (bits < 16)
    if notes:
        assert f"{2**bits - 1:,} ({bits} bits)" in notes[0]
        assert f"pixel_range [0, {2**bits - 1}]" in notes[0]


def test_images_of_several_ranges(tmp_path: Path) -> None:
    files = {
        f"{split}/{label}/{i}.png": sixteen_bit(i, bits)
        for split, bits in (("train", 12), ("test", 16))
        for label in "ab"
        for i in range(3)
    }
    notes = inspect(given_as("zip", tmp_path / "a", files | {"train/a/x.png": image_bytes(5)})).notes
    assert "4,095 (12 bits) in train and 65,535 (16 bits) in test" in notes[0]
    assert "other 1 images have 8 bits" in notes[0]


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("folder", ["NFC", "NFD"])
def test_composed_and_decomposed_names_are_one(kind: str, folder: str, tmp_path: Path) -> None:
    def form(name: str, text: str) -> str:
        return unicodedata.normalize(name, text)  # type: ignore[arg-type]

    other = "NFD" if folder == "NFC" else "NFC"
    files = {form(folder, f"train/Café/{i}.png"): image_bytes(i) for i in range(3)}
    files |= {form(other, f"test/Café/{i}.png"): image_bytes(10 + i) for i in range(3)}
    files |= {f"{split}/Bar/{i}.png": image_bytes(20 + i) for split in ("train", "test") for i in range(3)}
    found = inspect(given_as(kind, tmp_path / "a", files))
    assert found.classes == ("Bar", "Café")
    if kind != "folder":
        table = "file_name,label\n" + "".join(form(other, f"bilder/é{i}.png,{'ñü'[i % 2]}\n") for i in range(6))
        images = {form(folder, f"bilder/é{i}.png"): image_bytes(i) for i in range(6)}
        found = inspect(given_as(kind, tmp_path / "b", images | {"metadata.csv": table.encode()}))
        assert found.classes == ("ñ", "ü")


def test_one_file_in_two_compositions_is_there_twice(tmp_path: Path) -> None:
    files = tree() | {"caf\u00e9/0.png": image_bytes(1), "cafe\u0301/0.png": image_bytes(2)}
    with pytest.raises(InvalidDataset, match="twice"):
        inspect(given_as("zip", tmp_path / "a", files))
