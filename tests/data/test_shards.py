"""Datasets of shards: what names them, their index, and their faults by name."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.limits import DEFAULT, Limits
from distill.data.stratify import HOLD_OUT
from distill.errors import InvalidDataset
from distill.modalities.images import inspect, open_dataset
from distill.modalities.images.kinds.shards import index_of
from distill.modalities.images.shards.index import read, write
from distill.modalities.images.shards.listing import listed
from distill.modalities.images.shards.lots import TEST_SALT, lot
from distill.modalities.images.shards.refusal import ShardChanged, ShardGone
from distill.shard_names import MOST, expanded, gathered
from distill.types import DatasetInput
from tests.data.files import image_bytes, write_tar, write_zip
from tests.data.shard_files import CLASSES, of_shards, sample, write_parquet_shards, write_shards


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RETORT_SHARD_CACHE", str(tmp_path / "cache"))


def every(dataset):
    """(key, label) -> content of all samples."""
    found = {}
    for samples in (dataset.train, dataset.test):
        split = samples._store.split
        for i, label in enumerate(split.labels.tolist()):
            found[split.images.name(i).rpartition(": ")[2], label] = split.images.content(i)
    return found


@pytest.mark.parametrize("way", ["braces", "folder", "star", "list"])
def test_shards_are_named_by_braces_folder_prefix_or_list(tmp_path, way):
    folder = write_shards(tmp_path / "s")
    (folder / "list.txt").write_text("# all of them\n000000.tar\n{000001..000005}.tar\n")
    given = {"braces": "{000000..000005}.tar", "folder": "", "star": "0*.tar", "list": "list.txt"}[way]
    assert [name.rpartition("/")[2] for name in listed(str(folder / given))] == [f"{i:06}.tar" for i in range(6)]


def test_an_opened_dataset_holds_every_sample_with_its_label(tmp_path):
    dataset = open_dataset(of_shards(write_shards(tmp_path / "s")))
    assert dataset.classes == ("0", "1", "2")
    held = every(dataset)
    assert held == {(f"{n:05}", n % CLASSES): sample(n)[f"{n:05}.jpg"] for n in range(60)}
    assert 0 < len(dataset.test) < len(dataset.train)


def test_parquet_shards_hold_the_same_as_tars(tmp_path):
    tars = open_dataset(of_shards(write_shards(tmp_path / "t", 4)))
    rows = open_dataset(of_shards(write_parquet_shards(tmp_path / "p") / "*.parquet"))
    named = open_dataset(of_shards(write_parquet_shards(tmp_path / "n", names=["a", "b", "c"]) / "*.parquet"))
    assert Counter(every(tars).values()) == Counter(every(rows).values()) == Counter(every(named).values())
    assert (rows.classes, named.classes) == (("0", "1", "2"), ("a", "b", "c"))
    labels = {content: label for (_, label), content in every(tars).items()}
    assert all(labels[content] == label for (_, label), content in every(rows).items())


def test_the_digest_is_that_of_the_same_images_in_an_archive(tmp_path):
    """Of images in one order and with given splits: content alone decides."""
    splits = {"train": range(6), "test": range(6, 12)}
    files, roles = {}, {}
    for split, numbers in splits.items():
        found = [(n % CLASSES, n) for n in numbers]
        shard = {}
        for label, n in sorted(found):
            files[f"{split}/{label}/{n:05}.jpg"] = sample(n)[f"{n:05}.jpg"]
            shard |= sample(n)
        roles[split] = write_tar(tmp_path / f"{split}.tar", shard)
    archive = DatasetInput(kind="archive", name="a", files={"all": str(write_zip(tmp_path / "a.zip", files))})
    assert open_dataset(of_shards("", **roles)).digest == open_dataset(archive).digest


def test_splits_come_from_the_shards_names(tmp_path):
    write_shards(tmp_path / "s", 3, name="photos-train-{:03}.tar")
    files = {}
    for number in range(100, 106):
        files |= sample(number)
    write_tar(tmp_path / "s" / "photos-val-000.tar", files)
    dataset = open_dataset(of_shards(tmp_path / "s"))
    assert (len(dataset.train), len(dataset.test)) == (30, 6)


def test_labels_in_json_and_names_beside_the_shards(tmp_path):
    files = {}
    for n in range(12):
        files |= {f"a/{n}.png": image_bytes(n), f"a/{n}.json": json.dumps({"label": n % 2, "x": [1]}).encode()}
    write_tar(tmp_path / "0.tar", files)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = open_dataset(of_shards(tmp_path / "0.tar"))
    assert dataset.classes == ("cat", "dog")
    assert every(dataset) == {(f"a/{n}", n % 2): image_bytes(n) for n in range(12)}


def test_samples_without_a_label_train_and_do_not_test(tmp_path):
    files = {}
    for n in range(40):
        files |= {k: v for k, v in sample(n).items() if n % 4 or k.endswith("jpg")}
    write_tar(tmp_path / "0.tar", files)
    dataset = open_dataset(of_shards(tmp_path / "0.tar"))
    assert int((dataset.train.labels == -1).sum()) == 10
    assert int((dataset.test.labels == -1).sum()) == 0


def test_splits_are_a_function_of_the_key_alone(tmp_path):
    few = open_dataset(of_shards(write_shards(tmp_path / "a", 6)))
    more = open_dataset(of_shards(write_shards(tmp_path / "b", 12)))

    def keys(samples, chosen=None):
        images = samples._store.split.images
        return {
            images.name(i).rpartition(": ")[2] for i in (range(len(samples)) if chosen is None else chosen.tolist())
        }

    assert keys(few.test) == {key for key in keys(more.test) if int(key) < 60}
    held = [keys(each.train, each.train.held_out(0.3, None)) for each in (few, more)]
    assert held[0] == {key for key in held[1] if int(key) < 60}
    fewer = keys(more.train, more.train.held_out(0.3, 40))
    assert len(fewer) == 12
    assert fewer < held[1]


@given(st.text())
def test_a_lot_is_within_0_and_1(key):
    assert 0 <= lot(key) < 1


def test_an_index_is_read_as_it_was_written(tmp_path):
    index = index_of(of_shards(write_shards(tmp_path / "s")), DEFAULT, None)
    write(index, tmp_path / "s.shards")
    again = read(tmp_path / "s.shards")
    assert again == index
    assert again.digest == index.digest
    opened = open_dataset(of_shards("", index=tmp_path / "s.shards"))
    assert opened.digest == open_dataset(of_shards(tmp_path / "s")).digest


@pytest.mark.parametrize("damage", ["cut", "other", "digest"])
def test_a_damaged_index_is_refused(tmp_path, damage):
    index = index_of(of_shards(write_shards(tmp_path / "s", 2)), DEFAULT, None)
    path = tmp_path / "s.shards"
    write(index, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "other":
        pq.write_table(index.rows.select(["key"]), path)
    else:
        table = pq.read_table(path)
        told = json.loads(table.schema.metadata[b"retort"])
        told["shards"].pop()
        pq.write_table(table.replace_schema_metadata({b"retort": json.dumps(told)}), path)
    with pytest.raises(InvalidDataset) as caught:
        read(path)
    assert caught.value.details["index"] == "s.shards"


def test_an_inspection_decodes_within_its_bound_and_says_so(tmp_path):
    dataset = of_shards(write_shards(tmp_path / "s", 6))
    few = index_of(dataset, Limits(verify_pixels=6 * 24 * 25), None)
    decoded = few.column("decoded")
    per_shard = [int(decoded[few.column("shard") == shard].sum()) for shard in range(6)]
    assert set(per_shard) <= {1, 2}
    assert any(str(sum(per_shard)) in note for note in few.notes)
    whole = inspect(dataset)
    assert whole.verified == 60
    assert not any("decoded whole" in note for note in whole.notes)


def test_unreadable_images_are_named_and_left_out_within_the_limit(tmp_path):
    files = {}
    for n in range(300):
        files |= sample(n)
    files["00007.jpg"] = files["00007.jpg"][:200]
    write_tar(tmp_path / "0.tar", files)
    report = inspect(of_shards(tmp_path / "0.tar"))
    assert report.corrupt == 1
    assert sum(map(sum, report.counts.values())) == 299
    assert "00007" in next(iter(report.corrupt_examples))
    for n in range(30):
        files[f"{n:05}.jpg"] = b"nothing"
    write_tar(tmp_path / "0.tar", files)
    with pytest.raises(InvalidDataset):
        inspect(of_shards(tmp_path / "0.tar"))


def fault_gap(folder):
    (folder / "000002.tar").unlink()
    return folder, None


def fault_gap_in_braces(folder):
    (folder / "000002.tar").unlink()
    return folder / "{000000..000003}.tar", None


def fault_empty_tar(folder):
    write_tar(folder / "000001.tar", {})
    return folder, "000001.tar"


def fault_empty_file(folder):
    (folder / "000001.tar").write_bytes(b"")
    return folder, "000001.tar"


def fault_nested(folder):
    inner = (folder / "000000.tar").read_bytes()
    write_tar(folder / "000001.tar", sample(50) | {"00051.tar": inner})
    return folder, "000001.tar"


def fault_hidden_nested(folder):
    inner = (folder / "000000.tar").read_bytes()
    write_tar(folder / "000001.tar", sample(50) | {"00051.bin": inner})
    return folder, "000001.tar"


def fault_key_again(folder):
    write_tar(folder / "000001.tar", sample(50) | sample(51) | {"00050.json": b"{}"})
    return folder, "000001.tar"


def fault_key_twice_in_a_row(folder):
    with tarfile.open(folder / "000001.tar", "w") as archive:
        for name, data in [*sample(50).items(), *sample(50).items()]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return folder, "000001.tar"


def fault_key_in_two_shards(folder):
    write_tar(folder / "000003.tar", sample(3))
    return folder, "000003.tar"


def fault_label_beyond(folder):
    (folder / "classes.txt").write_text("a\nb\nc\n")
    write_tar(folder / "000003.tar", sample(50) | sample(51, "3"))
    return folder, "000003.tar"


def fault_label_negative(folder):
    write_tar(folder / "000003.tar", sample(51, "-2"))
    return folder, "000003.tar"


def fault_label_unknown(folder):
    (folder / "classes.txt").write_text("a\nb\nc\n")
    write_tar(folder / "000003.tar", sample(51, "d"))
    return folder, "000003.tar"


def fault_label_many_dashes(folder):
    (folder / "classes.txt").write_text("a\nb\nc\n")
    write_tar(folder / "000003.tar", sample(51, "--5"))
    return folder, "000003.tar"


def fault_label_of_5000_digits(folder):
    (folder / "classes.txt").write_text("a\nb\nc\n")
    write_tar(folder / "000003.tar", sample(51, "5" * 5000))
    return folder, "000003.tar"


def fault_braces_of_5000_digits(folder):
    (folder / "l.txt").write_text(f"{{0..{'9' * 5000}}}.tar\n")
    return folder / "l.txt", None


def fault_braces_without_end(folder):
    (folder / "l.txt").write_text("{0..0}" * 5000)
    return folder / "l.txt", None


def fault_truncated(folder):
    data = (folder / "000003.tar").read_bytes()
    (folder / "000003.tar").write_bytes(data[: len(data) // 2 - 100])
    return folder, "000003.tar"


def fault_cut_at_a_border(folder):
    data = (folder / "000003.tar").read_bytes()
    (folder / "000003.tar").write_bytes(data.rstrip(b"\0")[:512])
    return folder, "000003.tar"


def fault_no_image(folder):
    write_tar(folder / "000003.tar", sample(50) | {"00051.cls": b"1"})
    return folder, "000003.tar"


def fault_packed(folder):
    write_tar(folder / "000004.tar.gz", sample(60), mode="w:gz")
    return folder, "000004.tar.gz"


def fault_packed_and_not_called_so(folder):
    write_tar(folder / "000003.tar", sample(60), mode="w:gz")
    return folder, "000003.tar"


def fault_gap_as_the_hub_numbers(folder):
    write_parquet_shards(folder / "p", 4)
    for number in (0, 1, 3):
        (folder / "p" / f"{number:03}.parquet").rename(folder / "p" / f"train-{number:05}-of-00004.parquet")
    return folder / "p" / "train-*.parquet", None


def fault_gap_before_hashes(folder):
    write_parquet_shards(folder / "p", 4)
    for number in (0, 1, 3):
        (folder / "p" / f"{number:03}.parquet").rename(folder / "p" / f"{number}-of-4-{number + 7}ab.parquet")
    return folder / "p" / "*-of-*.parquet", None


def fault_no_tar(folder):
    (folder / "000003.tar").write_bytes(b"x" * 5000)
    return folder, "000003.tar"


def fault_listed_twice(folder):
    (folder / "l.txt").write_text("000000.tar\n000000.tar\n")
    return folder / "l.txt", "000000.tar"


FAULTS = [fault for name, fault in sorted(globals().items()) if name.startswith("fault_")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_refused_by_the_shards_name(tmp_path, fault):
    given_, shard = fault(write_shards(tmp_path / "s", 4, 5))
    with pytest.raises(InvalidDataset) as caught:
        open_dataset(of_shards(given_))
    assert caught.value.remedy
    if shard is not None:
        assert caught.value.details["shard"].endswith(shard)


@pytest.mark.parametrize("fault", [fault_key_again, fault_key_twice_in_a_row, fault_key_in_two_shards, fault_no_image])
def test_the_key_of_a_bad_sample_is_named(tmp_path, fault):
    given_, _ = fault(write_shards(tmp_path / "s", 4, 5))
    with pytest.raises(InvalidDataset) as caught:
        open_dataset(of_shards(given_))
    assert caught.value.details["key"] in {"00050", "00003", "00051"}


def test_a_row_with_a_label_that_its_names_lack_is_named(tmp_path):
    folder = write_parquet_shards(tmp_path / "s", 2, 6, names=["a", "b", "c"])
    table = pq.read_table(folder / "001.parquet")
    labels = [*table.column("label").to_pylist()[:-1], 7]
    pq.write_table(table.set_column(1, table.schema.field("label"), [labels]), folder / "001.parquet")
    with pytest.raises(InvalidDataset) as caught:
        open_dataset(of_shards(folder / "*.parquet"))
    assert caught.value.details["shard"].endswith("001.parquet")
    assert (caught.value.details["row"], caught.value.details["file"]) == (5, "001.parquet")


@pytest.mark.parametrize(
    "given_",
    ["{a,b}.tar", "{0..8..2}.tar", "{a,b}/{0..3}.tar", "{0..3}/{0..8..2}.tar", "0.tar::https://h.org/1.tar", "{0.tar"],
)
def test_what_other_loaders_count_through_is_refused_before_a_server_is_asked(given_):
    with pytest.raises(InvalidDataset) as caught:
        expanded(f"https://h.org/{given_}")
    assert caught.value.details["shards"]


@pytest.mark.parametrize("given_", ["ftp://h/0.tar", "gs://photos/{0..1}.tar"])
def test_a_command_says_which_addresses_it_does_not_read(given_):
    with pytest.raises(InvalidDataset) as caught:
        listed(given_)
    assert caught.value.details == {"shards": given_}


def test_a_colon_twice_in_an_address_counts_nothing():
    assert expanded("https://[::1]/{1..2}.tar?a={b}") == [f"https://[::1]/{i}.tar?a={{b}}" for i in (1, 2)]


def test_no_group_of_names_is_asked_for_beyond_the_most():
    def groups():
        yield ["a.tar"] * MOST
        yield ["b.tar"]
        raise AssertionError

    with pytest.raises(InvalidDataset):
        gathered("a list", groups())


def test_a_class_list_with_a_class_twice_is_refused(tmp_path):
    folder = write_shards(tmp_path / "s", 2)
    (folder / "classes.txt").write_text("a\na\nc\n")
    with pytest.raises(InvalidDataset):
        open_dataset(of_shards(folder))


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_a_shard_that_changed_or_went_after_registration_is_named(tmp_path, kind):
    folder = write_shards(tmp_path / "s", 3) if kind == "tar" else write_parquet_shards(tmp_path / "s", 3)
    first = sorted(folder.iterdir())[0]
    index = index_of(of_shards(folder / f"*.{kind}"), DEFAULT, None)
    write(index, tmp_path / "s.shards")
    before = first.read_bytes()

    def read_all():
        return every(open_dataset(of_shards("", index=tmp_path / "s.shards")))

    first.write_bytes(before)  # touched, and the same
    assert len(read_all()) == 30
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    first.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    with pytest.raises(ShardChanged) as caught:
        read_all()
    assert caught.value.details["shard"] == str(first)
    first.unlink()
    with pytest.raises(ShardGone) as caught:
        read_all()
    assert caught.value.details["shard"] == str(first)


def test_a_class_whose_samples_would_all_be_held_out_trains(tmp_path):
    """Of 40 classes with two samples each the hash would hold out both of some."""
    for shard in range(4):
        files = {}
        for number in range(shard * 20, shard * 20 + 20):
            files |= sample(number, str(number % 40))
        write_tar(tmp_path / f"{shard:06}.tar", files)
    assert any(all(lot(f"{n:05}", TEST_SALT) < HOLD_OUT for n in (label, label + 40)) for label in range(40))
    dataset = open_dataset(of_shards(tmp_path / "{000000..000003}.tar"))
    assert set(dataset.train.labels.tolist()) == set(range(40))
    assert len(dataset.test)
