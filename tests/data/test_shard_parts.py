"""An index that several made in parts is that which one makes, and so is the first problem."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from distill.data.limits import DEFAULT
from distill.errors import InvalidDataset, RetortError
from distill.modalities.images.shards import index, part_file
from distill.modalities.images.shards.building import build_index
from distill.modalities.images.shards.listing import listed
from distill.modalities.images.shards.merging import merged
from distill.modalities.images.shards.places import Named
from distill.modalities.images.shards.plan import plan_of
from distill.modalities.images.shards.reading import read_part
from distill.modalities.images.shards.sampling import chosen, is_worth, sampled
from distill.modalities.images.shards.spans import spans
from distill.types import ClassesFrom
from tests.data.files import image_bytes, write_tar
from tests.data.shard_files import sample, write_parquet_shards, write_shards


def by_parts(
    names: Sequence[str], cuts: Sequence[int], folder: Path, classes_from: ClassesFrom = ""
) -> index.Index:  # fmt: skip
    """Read in parts that end before the shards `cuts`, each through a file; parts behind a problem are not read."""
    plan = plan_of({"all": names}, DEFAULT, None, classes_from)
    ends = [0, *cuts, len(names)]
    parts, error = [], None
    for first, end in pairwise(ends):
        if error is None:
            made = read_part(plan, (first, end), Named(), folder)
            part_file.write(made, folder / "part")
            parts.append(part_file.read(folder / "part"))
            error = made.error
    return merged(plan, parts, error)


def bytes_of(made: index.Index, path: Path) -> bytes:
    index.write(made, path)
    return path.read_bytes()


def folders(folder: Path) -> Path:
    """Classes are folders, which lie in several shards."""
    folder.mkdir()
    for shard in range(5):
        held = {f"{'ab'[n % 2]}/{shard}-{n}.jpg": image_bytes(9 * shard + n, (20, 24), form="JPEG") for n in range(4)}
        write_tar(folder / f"{shard}.tar", held)
    return folder


def by_stems(folder: Path) -> Path:
    folder.mkdir()
    for shard, name in enumerate(("cat", "dog", "emu", "fox")):
        held = {f"{n}.jpg": image_bytes(9 * shard + n, (20, 24), form="JPEG") for n in range(4)}
        write_tar(folder / f"{name}.tar", held)
    return folder


def mixed(folder: Path) -> Path:
    """What a number means in the tars is said by a parquet shard of another part."""
    write_parquet_shards(folder, 2, 5, names=["a", "b", "c"])
    for shard in (2, 3):
        held = {f"{shard}{n}.{end}": data for n in range(6) for end, data in (
            ("jpg", image_bytes(50 + 9 * shard + n, (20, 24), form="JPEG")), ("cls", b"%d" % (n % 3)))}  # fmt: skip
        write_tar(folder / f"{shard:03}.tar", held)
    return folder


@pytest.mark.parametrize(
    ("made", "classes_from"), [(write_shards, ""), (folders, ""), (by_stems, "shards"), (mixed, ""), (folders, "none")]
)
def test_an_index_by_parts_is_byte_by_byte_that_of_one_reader(tmp_path, made, classes_from):
    names = sorted(str(path) for path in made(tmp_path / "s").iterdir())
    whole = build_index({"all": names}, DEFAULT, tmp_path, classes_from=classes_from)
    expected = bytes_of(whole, tmp_path / "whole")
    for cuts in ([1], [2, 3], range(1, len(names))):
        parted = by_parts(names, list(cuts), tmp_path, classes_from)
        assert parted.digest == whole.digest
        assert bytes_of(parted, tmp_path / "parted") == expected


def refused(names: Sequence[str], cuts: Sequence[int], folder: Path) -> dict[str, object]:
    with pytest.raises(RetortError) as met:
        by_parts(names, cuts, folder)
    return met.value.to_dict()


def test_the_first_problem_in_the_order_of_the_shards_is_told_whoever_met_it(tmp_path):
    """Shard 3 repeats a key of shard 1 and ends too early; shard 4 holds a label that is no class's."""
    names = sorted(map(str, write_shards(tmp_path / "s").iterdir()))
    write_tar(Path(names[3]), sample(90) | sample(11) | sample(92) | sample(93))
    whole = Path(names[3]).read_bytes()
    Path(names[3]).write_bytes(whole[: whole.index(b"00093.jpg") + 600])
    write_tar(Path(names[4]), sample(40, "-7"))
    with pytest.raises(InvalidDataset) as alone:
        build_index({"all": names}, DEFAULT, tmp_path)
    assert alone.value.details == {"shard": names[3], "key": "00011"}
    for cuts in ([], [2], [3], [4], [1, 2, 3, 4, 5]):
        assert refused(names, cuts, tmp_path) == alone.value.to_dict()
    write_tar(Path(names[3]), sample(90))
    assert refused(names, [2], tmp_path)["details"] == {"shard": names[4], "key": "00040", "label": "-7"}
    Path(names[0]).unlink()
    assert refused(names, [2], tmp_path)["details"] == {"shard": names[0]}


def test_several_processes_of_one_machine_make_the_same_index_and_tell_the_same_problem(tmp_path):
    names = listed(str(write_shards(tmp_path / "s", 5, 4)))
    whole = bytes_of(build_index({"all": names}, DEFAULT, tmp_path), tmp_path / "whole")
    shared = build_index({"all": names}, DEFAULT, tmp_path, processes=2)
    assert bytes_of(shared, tmp_path / "shared") == whole
    write_tar(Path(names[2]), sample(3))
    with pytest.raises(InvalidDataset) as twice:
        build_index({"all": names}, DEFAULT, tmp_path, processes=2)
    assert twice.value.details == {"shard": names[2], "key": "00003"}
    assert twice.value.remedy


def test_parts_hold_all_shards_once_and_are_as_large_as_they_may_be():
    assert spans([5] * 7, 10, 100) == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert spans([100, 1, 1, 1], 3, 100) == [(0, 1), (1, 4)]
    assert spans([5] * 100, 10, 4) == [(0, 25), (25, 50), (50, 75), (75, 100)]
    assert spans([0, 0, 0], 10, 4) == [(0, 3)]


def test_a_sample_is_spread_evenly_within_shards_and_bytes():
    assert chosen([10] * 1282) == [place * 1281 // 15 for place in range(16)]
    assert chosen([10] * 3) == [0, 1, 2]
    assert chosen([2**30] * 100) == [0, 99]
    assert chosen([2**40] * 100) == [0]
    assert not is_worth([10] * 100)
    assert is_worth([10] * 128)


def test_a_sample_says_what_all_would_hold_and_raises_the_first_problem_that_it_meets(tmp_path):
    names = sorted(map(str, write_shards(tmp_path / "s").iterdir()))
    plan = plan_of({"all": names}, DEFAULT, None, "")
    found = sampled(plan, [0, 2, 5], Named(), tmp_path)
    read_bytes = sum(Path(names[number]).stat().st_size for number in (0, 2, 5))
    assert found == {
        "shards": 3, "of_shards": 6, "bytes": read_bytes, "images": 30, "estimated_bytes": 2 * read_bytes,
        "estimated_images": 60, "unreadable": 0, "labelled": 30, "class_count": 3, "classes": ["0", "1", "2"],
        "heights": [20, 22, 24], "widths": [24, 24, 24],
    }  # fmt: skip
    write_tar(Path(names[1]), sample(10, "-1"))
    assert sampled(plan, [0, 2, 5], Named(), tmp_path) == found
    write_tar(Path(names[5]), sample(3))
    with pytest.raises(InvalidDataset) as met:
        sampled(plan, [0, 2, 5], Named(), tmp_path)
    assert met.value.details == {"shard": names[5], "key": "00003"}
    by_folder = plan_of({"all": sorted(map(str, folders(tmp_path / "f").iterdir()))}, DEFAULT, None, "")
    seen = sampled(by_folder, [0, 4], Named(), tmp_path)
    assert (seen["classes"], seen["labelled"], seen["estimated_images"]) == (["a", "b"], 0, 20)
