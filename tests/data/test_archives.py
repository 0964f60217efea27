"""Zip and tar: what is read, and what is refused with nothing left behind."""

from __future__ import annotations

import gzip
import io
import resource
import struct
import tarfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from distill.data.limits import Limits
from distill.data.members import safe_parts
from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.modalities.images.archives import tar
from distill.types import DatasetInput
from tests.data.files import archive, image_bytes, tree, write_folder, write_tar, write_zip

FORMATS = {
    "zip": lambda path, files: write_zip(path, files),
    "zip-deflated": lambda path, files: write_zip(path, files, zipfile.ZIP_DEFLATED),
    "tar-pax": lambda path, files: write_tar(path, files),
    "tar-gnu": lambda path, files: write_tar(path, files, form=tarfile.GNU_FORMAT),
    "tar-ustar": lambda path, files: write_tar(path, files, form=tarfile.USTAR_FORMAT),
    "tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
}


@pytest.fixture(params=FORMATS)
def write(request, tmp_path):
    return lambda files: FORMATS[request.param](tmp_path / "data.bin", files)


def refused(path: Path, *words: str, limits: Limits | None = None) -> InvalidDataset:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    with pytest.raises(InvalidDataset) as caught:
        open_dataset(archive(path), limits or Limits(), scratch)
    assert all(word in caught.value.message for word in words), caught.value.message
    assert caught.value.remedy
    assert caught.value.fault == "user"
    assert not list(scratch.iterdir())
    return caught.value


@pytest.mark.parametrize("top", ["", "around/", "./", "./around/"])
@pytest.mark.parametrize("test", ["test", "val", None])
def test_layouts(write, top, test):
    files = tree(2, 4, "train") | tree(2, 2, test) if test else tree(2, 10)
    data = open_dataset(archive(write({top + name: content for name, content in files.items()})))
    assert data.classes == ("class0", "class1")
    assert (len(data.train), len(data.test)) == ((8, 4) if test else (16, 4))
    assert len(data.notes) == (test != "test")


def test_every_format_and_the_folder_give_one_digest(tmp_path):
    files = tree(2, 5, "train") | tree(2, 2, "test")
    digests = {open_dataset(archive(make(tmp_path / name, files))).digest for name, make in FORMATS.items()}
    write_folder(tmp_path / "folder", files)
    folder = DatasetInput(kind="folder", name="f", files={"all": str(tmp_path / "folder")})
    assert digests == {open_dataset(folder).digest}


def test_two_files_by_role(tmp_path):
    train, test = write_zip(tmp_path / "a.zip", tree(2, 3)), write_tar(tmp_path / "b.tar", tree(2, 2, "x"))
    data = open_dataset(DatasetInput(kind="archive", name="s", files={"train": str(train), "test": str(test)}))
    assert (len(data.train), len(data.test)) == (6, 4)


def test_long_names_and_unicode(write):
    long = "ü" * 60
    files = {f"{long}/{long}{i}.png": image_bytes(i) for i in range(2)} | {
        f"b/{i}.png": image_bytes(9 + i) for i in (0, 1)
    }
    if any(len(name.encode()) > 250 for name in files):
        pytest.skip("ustar's limit")
    try:
        path = write(files)
    except ValueError:
        pytest.skip("ustar cannot hold such names")
    assert set(open_dataset(archive(path)).classes) == {"b", long}


def test_junk_and_other_files_are_left_out(write):
    extra = {"__MACOSX/class0/._0.png": b"x", ".hidden/a.png": b"x", "README.txt": b"hello", "class0/.DS_Store": b"x"}
    data = open_dataset(archive(write(tree(2, 5) | extra)))
    assert len(data.train) + len(data.test) == 10
    assert "1 files that are no images" in data.notes[0]


HOSTILE_NAMES = [
    "../class0/a.png",
    "class0/../../a.png",
    "/etc/a.png",
    "C:/a/b.png",
    "c:a.png",
    "class0\\a.png",
    "class0/a\n.png",
    "class0/" + "d/" * 40 + "a.png",
    "class0/" + "a" * 1100 + ".png",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names(write, name):
    try:
        path = write(tree() | {name: image_bytes()})
    except ValueError:
        pytest.skip("ustar cannot hold this name")
    refused(path)


def test_duplicate_names_by_case(write):
    refused(write(tree() | {"CLASS0/0.png": image_bytes()}), "twice")


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({}, "no class folders"),
        ({"a.png": image_bytes()}, "no images"),
        ({"a.png": image_bytes(), "labels.csv": b"name\nx\n"}, "no class folders"),
        ({"only/a.png": image_bytes()}, "only one class"),
        ({"train/only/a.png": image_bytes(), "test/only/a.png": image_bytes()}, "only one class"),
        (tree(2, 2, "train") | tree(3, 2, "test"), "training split lacks"),
        (tree(2, 2, "train") | {"test/a.png": image_bytes()}, "holds no images"),
        ({"test/class0/a.png": image_bytes(), "train/readme.txt": b"x"}, "no class folders"),
    ],
)
def test_useless_layouts(write, files, word):
    refused(write(files), word)


def flat(*folders: str) -> dict[str, bytes]:
    return {f"{folder}/{i}.png": image_bytes(10 * n + i) for n, folder in enumerate(folders) for i in range(2)}


@pytest.mark.parametrize("top", ["", "vehicles/"])
@pytest.mark.parametrize("name", ["train", "Training"])
def test_a_class_that_is_called_as_a_split_is(write, top, name):
    files = flat("car", "plane", name)
    opened = open_dataset(archive(write({f"{top}{path}": data for path, data in files.items()})))
    assert opened.classes == tuple(sorted(("car", "plane", name)))
    assert any(repr(name) in note and "class" in note for note in opened.notes)
    below = {f"{top}train/{path}": data for path, data in files.items()}
    assert open_dataset(archive(write(below))).classes == opened.classes


@pytest.mark.parametrize(
    "files",
    [
        flat("car", "train"),
        flat("train", "test", "samples"),
        flat("car", "plane", "train", "test"),
        flat("car", "plane", "train", "val"),
        flat("car", "plane", "train/steam"),
    ],
)
def test_a_split_that_may_be_a_class_is_asked_about(write, files):
    error = refused(write(files), "'train' is a split or a class")
    assert "below train/" in error.remedy


def test_splits_with_classes_stay_splits_whatever_lies_beside_them(write):
    opened = open_dataset(archive(write(tree(2, 2, "train") | tree(2, 2, "test") | flat("samples", "sketches"))))
    assert opened.classes == ("class0", "class1")
    assert "Not used: the folder 'samples' (2 images)." in opened.notes


@pytest.mark.parametrize("names", [("car", "plane", "test"), ("car", "test", "val")])
def test_without_a_training_split_all_folders_are_classes(write, names):
    assert open_dataset(archive(write(flat(*names)))).classes == names


def test_empty_class(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name, data in tree().items():
            file.writestr(name, data)
        file.writestr("class9/", b"")
    refused(tmp_path / "a.zip", "class9")
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        folder = tarfile.TarInfo("class9")
        folder.type = tarfile.DIRTYPE
        file.addfile(folder)
    with tarfile.open(tmp_path / "a.tar", "a") as file:
        for name, data in tree().items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    refused(tmp_path / "a.tar", "class9")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("packed", [False, True])
def test_tar_links_and_devices(tmp_path, kind, packed):
    with tarfile.open(tmp_path / "a.tar", "w:gz" if packed else "w") as file:
        link = tarfile.TarInfo("class0/evil.png")
        link.type, link.linkname = kind, "/etc/passwd"
        file.addfile(link)
    refused(tmp_path / "a.tar", "link")


def test_tar_sparse(tmp_path):
    body = b"30 GNU.sparse.realsize=999999\n"
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(body)
    (tmp_path / "a.tar").write_bytes(info.tobuf() + body.ljust(512, b"\0"))
    refused(tmp_path / "a.tar", "sparse")
    info = tarfile.TarInfo("class0/a.png")
    info.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "b.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    refused(tmp_path / "b.tar", "special")


@pytest.mark.parametrize("size", [b"\x80" + b"\x7f" * 11, b"77777777777\0"])
@pytest.mark.parametrize("packed", [False, True])
def test_tar_a_folder_of_exabytes(tmp_path, size, packed):
    """Old tars mark a folder by a slash only, and give it a size like any file."""
    block = bytearray(tarfile.TarInfo("class0/").tobuf(tarfile.USTAR_FORMAT))
    block[124:136], block[156:157], block[148:156] = size, b"\0", b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    rest = write_tar(tmp_path / "rest", tree()).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(gzip.compress(block + rest, mtime=0) if packed else block + rest)
    refused(path, "truncated")


def test_tar_giant_extended_header(tmp_path):
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        info = tarfile.TarInfo("x")
        info.type, info.size = kind, 2**33
        (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        refused(tmp_path / "a.tar", "extended header")


@pytest.mark.parametrize("how", ["flagged", "unflagged UTF-8", "extra field", "stale extra field", "code page 437"])
def test_zip_names_are_what_their_archiver_meant(tmp_path, how):
    classes = ("caf\xe9", "th\xe9")
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive_:
        for label in classes:
            for seed in range(3):
                name = f"{label}/{seed}.png"
                info = Named(name, "?" if "extra" in how else None, how)
                archive_.writestr(info, image_bytes(seed + 10 * len(label)))
    found = open_dataset(archive(path)).classes if how != "stale extra field" else None
    if how == "stale extra field":
        with pytest.raises(InvalidDataset):  # both classes are called "?": the field is of another name
            open_dataset(archive(path))
    else:
        assert found == classes


class Named(zipfile.ZipInfo):
    """A member whose name is written in another way than `zipfile` would."""

    def __init__(self, name, replacement, how):
        raw = (f"{replacement}/{name.split('/')[1]}" if replacement else name).encode(
            "cp437" if how == "code page 437" else "utf-8"
        )
        super().__init__(name)
        self._raw, self._flag = raw, 0x800 if how == "flagged" else 0
        if replacement:
            crc = zlib.crc32(raw if how == "extra field" else b"another")
            content = b"\1" + crc.to_bytes(4, "little") + name.encode()
            self.extra = (0x7075).to_bytes(2, "little") + len(content).to_bytes(2, "little") + content

    def _encodeFilenameFlags(self):  # noqa: N802 - zipfile's own
        return self._raw, self.flag_bits & ~0x800 | self._flag


def test_zip_link(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("class0/a.png")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "link")


def test_zip_encrypted_and_foreign_compression(tmp_path):
    write_zip(tmp_path / "a.zip", tree(), zipfile.ZIP_BZIP2)
    refused(tmp_path / "a.zip", "compression method")
    write_zip(tmp_path / "b.zip", tree())
    data = bytearray((tmp_path / "b.zip").read_bytes())
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    (tmp_path / "b.zip").write_bytes(data)
    refused(tmp_path / "b.zip", "encrypted")


def test_zip_overlap(tmp_path):
    """Two directory entries that share one member's bytes, the trick of overlapping bombs."""
    write_zip(tmp_path / "a.zip", {"class0/a.png": image_bytes(1, (64, 64)), "class1/b.png": image_bytes(2, (64, 64))})
    data = bytearray((tmp_path / "a.zip").read_bytes())
    first = data.find(b"PK\x01\x02")
    end = data.find(b"PK\x05\x06")
    entries = bytes(data[first:end])
    many = b"".join(entries.replace(b"a.png", b"%d.png" % i).replace(b"b.png", b"%d.png" % i) for i in range(5))
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 10, 10, len(many))
    (tmp_path / "a.zip").write_bytes(bytes(data[:first]) + many + bytes(tail))
    refused(tmp_path / "a.zip")


@pytest.mark.parametrize("form", ["zip-deflated", "tar.gz"])
def test_bombs_by_ratio(tmp_path, form):
    path = FORMATS[form](tmp_path / "bomb", tree() | {"class0/bomb.bmp": bytes(30 * 2**20)})
    refused(path, "times its size" if form != "tar.gz" else "size")


def test_gzip_bomb_in_padding(tmp_path):
    """The tar's own end is followed by nothing we read, and a skipped text file cannot blow up either."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        info = tarfile.TarInfo("readme.txt")
        info.size = 60 * 2**20
        file.addfile(info, io.BytesIO(bytes(60 * 2**20)))
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    refused(tmp_path / "a.tar.gz")


def test_a_byte_that_changed_where_nothing_else_would_notice(tmp_path):
    write_tar(tmp_path / "a.tar", tree())
    content = bytearray(gzip.compress((tmp_path / "a.tar").read_bytes(), compresslevel=0, mtime=0))
    content[-30] ^= 1  # in the zeros behind the last member
    (tmp_path / "a.tar.gz").write_bytes(content)
    refused(tmp_path / "a.tar.gz", "damaged")


def test_caps(write):
    path = write(tree(2, 5))
    refused(path, "more than 5 members", limits=Limits(members=5))
    refused(path, "bytes, more than 10", limits=Limits(file_bytes=10))
    refused(path, "unpacks to more than 500", limits=Limits(total_bytes=500))


def test_zip_member_without_a_name(tmp_path):
    """Found by fuzzing: zipfile's own `is_dir` fails on it with IndexError."""
    write_zip(tmp_path / "a.zip", {"a": image_bytes()})
    data = (tmp_path / "a.zip").read_bytes().replace(b"a", b"\0")
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip", "no readable zip")


def test_zip_directory_cap(tmp_path):
    refused(write_zip(tmp_path / "a.zip", tree()), "directory", limits=Limits(directory_bytes=10))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_zip_directory_cap_holds_for_a_zip64_record_that_nothing_announces(tmp_path, elsewhere):
    """The end record says 10 bytes; `zipfile` reads as many as the ZIP64 record before it says, in Python 3.11 also
    where the locator points at another record."""
    data = write_zip(tmp_path / "a.zip", tree(2, 20)).read_bytes()
    at = data.rindex(b"PK\5\6")
    size, offset = struct.unpack("<2L", data[at + 12 : at + 20])
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 40, 40, size, offset)
    decoy = wide[:40] + struct.pack("<2Q", 10, offset) if elsewhere else b""
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 40, 40, 10, offset, 0)
    (tmp_path / "a.zip").write_bytes(data[:at] + decoy + wide + locator + end)
    if not elsewhere:
        assert len(open_dataset(archive(tmp_path / "a.zip")).train) == 32
    refused(tmp_path / "a.zip", "directory", limits=Limits(directory_bytes=1000))


def test_a_pixel_in_a_tile_of_gigabytes(write):
    """The header says 1 x 1, which no cap minds; the decoder unpacks the whole tile."""
    data = zlib.compress(bytes(64))
    tags = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1, 322: 32768, 323: 32768, 324: 8 + 2 + 12 * 10 + 4, 325: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    tile = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data
    refused(write(tree(2, 5) | {"class0/tile.tif": tile}), "'class0/tile.tif' would have more than 50,000,000 pixels")


def test_image_bomb(write):
    refused(write(tree() | {"class0/big.png": image_bytes(1, (64, 64))}), "pixels", limits=Limits(pixels=1000))


@pytest.mark.parametrize("chunk", [b"zTXt", b"iCCP", b"iTXt"])
def test_a_bomb_beside_the_pixels_is_not_unpacked(tmp_path, chunk):
    """A text of 200 MB in 200 kB: nobody asked for it. The picture is read, or named as unreadable."""
    text = zlib.compress(bytes(200_000_000), 9)
    body = b"note\0" + {b"zTXt": b"\0", b"iCCP": b"\0", b"iTXt": b"\1\0\0\0"}[chunk] + text
    plain = image_bytes(1)
    place = plain.index(b"IDAT") - 4
    made = struct.pack(">I", len(body)) + chunk + body + struct.pack(">I", zlib.crc32(chunk + body))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files = tree(2, 60) | {"class0/note.png": plain[:place] + made + plain[place:]}
    found = inspect(archive(write_zip(tmp_path / "a.zip", files)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB
    assert sum(map(sum, found.counts.values())) in (120, 121)


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_known_black_and_white_are_unreadable(write, kind):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=kind).reshape(8, 8)).save(buffer, "TIFF")
    files = tree() | {"class0/float.tif": buffer.getvalue()}
    refused(write(files), "class0/float.tif")


def test_unreadable_images_are_named(write):
    files = tree(2, 5)
    error = refused(write(files | {"class0/broken.png": b"not an image"}), "class0/broken.png")
    assert error.details["unreadable"] == 1
    truncated = image_bytes(1, (64, 64))[:-2000]
    refused(write(files | {"class0/cut.png": truncated}), "class0/cut.png")


def test_unreadable_images_within_the_threshold_are_left_out(write):
    path = write(tree(2, 10) | {"class0/broken.png": b"not an image"})
    data = open_dataset(archive(path), Limits(corrupt_fraction=0.1))
    assert len(data.train) + len(data.test) == 20
    assert any("class0/broken.png" in note for note in data.notes)
    found = inspect(archive(path), Limits(corrupt_fraction=0.1))
    assert found.corrupt == 1
    assert "class0/broken.png" in next(iter(found.corrupt_examples))


def test_a_class_whose_images_are_all_unreadable(write):
    path = write(tree(2, 3) | {"class9/broken.png": b"x"})
    refused(path, "class9", limits=Limits(corrupt_fraction=0.5))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06", b"\x1f\x8b", b"\x1f\x8bgarbage", b"x" * 2000, bytes(100)])
def test_no_archive(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    refused(tmp_path / "a.zip")


def test_truncated(write):
    path = write(tree(2, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refused(path)


def test_wrong_roles(tmp_path):
    for files in ({}, {"test": "x"}, {"all": "x", "train": "y"}, {"every": "x"}, {"all": str(tmp_path / "gone")}):
        with pytest.raises(InvalidDataset):
            open_dataset(DatasetInput(kind="archive", name="s", files=files))


def test_folder_links_are_refused(tmp_path):
    root = write_folder(tmp_path / "f", tree())
    (root / "class0" / "link.png").symlink_to("/etc/passwd")
    with pytest.raises(InvalidDataset, match="link"):
        open_dataset(DatasetInput(kind="folder", name="f", files={"all": str(root)}))


def test_packed_images_spill_to_scratch_and_go(tmp_path, monkeypatch):
    import gc

    from distill.modalities.images import pack

    monkeypatch.setattr(pack.Pack.__init__, "__defaults__", (300,))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    data = open_dataset(archive(write_tar(tmp_path / "a.tar.gz", tree(2, 5), "w:gz")), scratch=scratch)
    assert len(list(scratch.iterdir())) == 1
    assert data.train.image(0).size == (8, 8)
    del data
    gc.collect()
    assert not list(scratch.iterdir())


@given(st.text(max_size=60))
def test_safe_parts_never_escape(name):
    try:
        parts = safe_parts(name, Limits())
    except InvalidDataset:
        return
    assert ".." not in parts
    assert not any("/" in part or "\\" in part or part in ("", ".") for part in parts)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_random_bytes_as_tar_raise_nothing_else(data):
    file = io.BytesIO(data)
    with suppress(InvalidDataset):
        for member in tar.members(file, lambda count: tar._seek(file, count, len(data))):
            assert member.size >= 0


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_archives_raise_nothing_else(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    form = data.draw(st.sampled_from(sorted(FORMATS)))
    path = FORMATS[form](folder / "a.bin", tree(2, 2))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(InvalidDataset):
        open_dataset(archive(path), Limits(corrupt_fraction=1.0))
