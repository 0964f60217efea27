"""What a job does with shards: their order, the part of each process, the cache, and a server that stumbles."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.data.limits import DEFAULT
from distill.data.plan import Plan
from distill.data.windows import Windows
from distill.errors import InvalidConfig, InvalidDataset
from distill.modalities.images import Loader, open_dataset
from distill.modalities.images.ahead import Ahead
from distill.modalities.images.kinds.shards import index_of
from distill.modalities.images.preprocessing import Preprocessing
from distill.modalities.images.shards import origin
from distill.modalities.images.shards.cache import ShardCache
from distill.modalities.images.shards.held import Held
from distill.modalities.images.shards.index import write
from distill.modalities.images.shards.refusal import ShardChanged, ShardGone, ShardUnavailable
from tests.data.files import write_parquet
from tests.data.shard_files import of_shards, sample, site, write_parquet_shards, write_shards

SEEN = Preprocessing((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), (16, 16), "bicubic", 3)
PAGES = 65_536
KEYS = [f"{i:064x}" for i in range(2**34, 2**37, 2**34)]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RETORT_SHARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(origin, "PAUSE_SECONDS", 0.01)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards") / "s", 8, 6)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=80), st.integers(1, 6), st.integers(0, 99))
def test_a_window_is_whole_before_the_next_begins(groups, size, seed):
    lots = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(groups), generator=lots)
    found = Windows(torch.tensor(groups), size).arranged(order, lots)
    assert sorted(found.tolist()) == list(range(len(groups)))
    seen = [groups[i] for i in found.tolist()]
    first = list(dict.fromkeys(seen))
    for start in range(0, len(first), size):
        window = set(first[start : start + size])
        places = [place for place, group in enumerate(seen) if group in window]
        assert places == list(range(places[0], places[0] + len(places)))


def test_windows_mix_and_epochs_differ():
    windows = Windows(torch.arange(40) // 5, 4)
    plan = Plan(40, 4, 7, windows=windows)
    one, two = plan.order(0), plan.order(1)
    assert torch.equal(one, Plan(40, 4, 7, windows=windows).order(0))
    assert not torch.equal(one, two)
    assert len(set((one[:20] // 5).tolist())) == 4
    assert one[:20].tolist() != sorted(one[:20].tolist())


def test_an_even_draw_keeps_its_counts_within_windows():
    labels = torch.tensor([0] * 30 + [1] * 10)
    windows = Windows(torch.arange(40) % 8, 2)
    plain = Plan(40, 4, 1, labels=labels).order(3)
    assert Counter(Plan(40, 4, 1, labels=labels, windows=windows).order(3).tolist()) == Counter(plain.tolist())


@pytest.mark.parametrize("world", [1, 2, 4])
def test_every_sample_is_seen_once_an_epoch_by_all_processes_together(shards, world):
    samples = open_dataset(of_shards(shards)).train
    loaders = [
        Loader(samples, range(len(samples)), 8 // world, SEEN, drop_last=False, rank=rank, world=world)
        for rank in range(world)
    ]
    for epoch in range(3):
        seen = Counter(i for loader in loaders for batch in loader.epoch(epoch) for i in batch.index.tolist())
        kept = loaders[0].batches_per_epoch
        # As for every dataset: what cannot give every process a sample is dropped, at most world - 1 of them.
        assert set(seen.values()) == {1}
        assert len(samples) - len(seen) < world
        assert kept == len(samples) // 8 + (len(samples) % 8 >= world)


@pytest.mark.parametrize("world", [2, 4])
def test_processes_share_the_batches_that_one_would_see(shards, world):
    samples = open_dataset(of_shards(shards)).train
    alone = list(Loader(samples, range(len(samples)), 8, SEEN, augmentation="crop_flip").epoch(1))
    parts = [
        list(
            Loader(
                samples, range(len(samples)), 8 // world, SEEN, augmentation="crop_flip", rank=rank, world=world
            ).epoch(1)
        )
        for rank in range(world)
    ]
    for whole, *own in zip(alone, *parts, strict=True):
        assert torch.equal(whole.index, torch.cat([batch.index for batch in own]))
        assert torch.equal(whole.student, torch.cat([batch.student for batch in own]))


def test_an_epoch_goes_on_in_its_middle_as_it_would_have(shards):
    samples = open_dataset(of_shards(shards)).train
    whole = list(Loader(samples, range(len(samples)), 4, SEEN, augmentation="crop_flip", seed=5).epoch(2))
    samples = open_dataset(of_shards(shards)).train
    rest = list(Loader(samples, range(len(samples)), 4, SEEN, augmentation="crop_flip", seed=5).epoch(2, start=4))
    assert len(rest) == len(whole) - 4
    for a, b in zip(whole[4:], rest, strict=True):
        assert torch.equal(a.index, b.index)
        assert torch.equal(a.student, b.student)


# -- the cache ---------------------------------------------------------------------------------------------------------


def filled(size):
    def make(path: Path) -> None:
        path.write_bytes(b"x" * size)

    return make


def test_the_cache_stays_within_its_budget_and_keeps_what_was_read_last(tmp_path):
    cache = ShardCache(tmp_path / "c", 1000)
    for number, key in enumerate(KEYS[:3]):
        os.utime(cache.get(key, 300, filled(300)), ns=(number, number))
    os.utime(tmp_path / "c" / KEYS[0], ns=(9, 9))
    cache.get(KEYS[3], 300, filled(300))
    assert {path.name for path in (tmp_path / "c").iterdir() if path.is_file()} == {KEYS[0], KEYS[2], KEYS[3]}
    assert cache.used_bytes == 900


def test_what_never_fits_is_refused(tmp_path):
    with pytest.raises(InvalidConfig) as caught:
        ShardCache(tmp_path / "c", 1000).get(KEYS[0], 1001, filled(1001))
    assert caught.value.details["budget_bytes"] == 1000


def test_what_could_not_be_made_leaves_nothing(tmp_path):
    def fail(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("cut")

    cache = ShardCache(tmp_path / "c", 1000)
    with pytest.raises(OSError, match="cut"):
        cache.get(KEYS[0], 300, fail)
    assert cache.used_bytes == 0
    assert cache.get(KEYS[0], 300, filled(300)).stat().st_size == 300


def test_what_a_dead_process_left_makes_room(tmp_path):
    cache = ShardCache(tmp_path / "c", 1000)
    cache.get(KEYS[0], 10, filled(10))
    (tmp_path / "c" / f"{KEYS[1]}.part").write_bytes(b"x" * 900)
    cache.get(KEYS[2], 500, filled(500))
    assert cache.used_bytes <= 1000
    assert not (tmp_path / "c" / f"{KEYS[1]}.part").exists()


def ask(folder: str, made: str, keys: list[str]) -> None:
    cache = ShardCache(Path(folder), 700)

    def make(path: Path) -> None:
        with Path(made).open("a") as file:
            file.write(f"{path.name}\n")
        time.sleep(0.02)
        path.write_bytes(b"x" * 200)

    for key in keys:
        assert cache.get(key, 200, make).name == key
        assert cache.used_bytes <= 700


def test_processes_share_one_cache_and_make_each_shard_once(tmp_path):
    context = multiprocessing.get_context("fork")
    arguments = (str(tmp_path / "c"), str(tmp_path / "made"), KEYS[:3])
    several = [context.Process(target=ask, args=arguments) for _ in range(3)]
    for process in several:
        process.start()
    for process in several:
        process.join(60)
    assert [process.exitcode for process in several] == [0, 0, 0]
    assert [name.partition(".")[0] for name in sorted((tmp_path / "made").read_text().split())] == KEYS[:3]


def taken(folder: str) -> dict[int, int]:
    """Bytes of the disk by inode: shards are moved meanwhile."""
    found = {}
    for path in Path(folder).iterdir():
        with suppress(FileNotFoundError):
            each = path.stat()
            found[each.st_ino] = each.st_blocks * 512 if path.is_file() else 0
    return found


def machine(folder: str, name: str, keys: list[str], over: Any) -> None:
    """Locks of its own hold no other machine back."""
    cache = ShardCache(Path(folder), 3 * PAGES, None, Path(f"{folder}-{name}"), name)

    def make(path: Path) -> None:
        with path.open("r+b") as file:  # the room stays taken
            file.write(b"x" * PAGES)
        there, still = taken(folder), taken(folder)  # what both saw was there at one time
        over.value = max(over.value, sum(there[inode] for inode in there.keys() & still.keys()))

    for _ in range(15):
        for key in keys:
            assert cache.get(key, PAGES, make).name == key


def test_machines_without_common_locks_keep_to_one_budget(tmp_path):
    context = multiprocessing.get_context("fork")
    over, folder = context.Value("q", 0), str(tmp_path / "c")
    several = [context.Process(target=machine, args=(folder, f"m{n}", KEYS[n:] + KEYS[:n], over)) for n in range(3)]
    for process in several:
        process.start()
    for process in several:
        process.join(60)
    assert [process.exitcode for process in several] == [0, 0, 0]
    assert 0 < over.value <= 3 * PAGES
    kept = [path for path in (tmp_path / "c").iterdir() if path.is_file()]
    assert all(path.name in KEYS and path.read_bytes() == b"x" * PAGES for path in kept)


def test_what_another_machine_makes_holds_its_room_for_an_hour(tmp_path):
    cache, part = ShardCache(tmp_path / "c", 1000), tmp_path / "c" / f"{KEYS[1]}.other.part"
    cache.get(KEYS[0], 10, filled(10))
    part.write_bytes(b"x" * 900)

    class Waits(Exception):
        pass

    def leave() -> None:
        raise Waits

    with pytest.raises(Waits):
        ShardCache(tmp_path / "c", 1000, leave).get(KEYS[2], 500, filled(500))
    os.utime(part, (time.time() - 3700,) * 2)
    cache.get(KEYS[2], 500, filled(500))
    assert not part.exists()
    assert cache.used_bytes <= 1000


def test_a_file_is_held_open_for_as_long_as_it_is_told(tmp_path):
    """A removed file is read to the end of that time, and looked for again behind it."""
    path, found = tmp_path / "f", []

    def find(number: int) -> Path:
        found.append(number)
        return path

    path.write_bytes(b"abcdef")
    short, long = Held(0), Held(3600)
    for held in (short, long, pickle.loads(pickle.dumps(long))):
        assert [held.read(7, find, offset, 2) for offset in (0, 2, 4, 6)] == [b"ab", b"cd", b"ef", b""]
    assert found == [7] * 6
    path.unlink()
    assert long.read(7, find, 1, 2) == b"bc"
    with pytest.raises(FileNotFoundError):
        short.read(7, find, 0, 1)
    path.write_bytes(b"other")
    assert (long.read(7, find, 0, 5), long.read(8, find, 0, 5)) == (b"abcde", b"other")
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    del long
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files - 2


def test_a_budget_that_two_windows_do_not_fit_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setenv("RETORT_SHARD_CACHE_BYTES", "1000")
    with pytest.raises(InvalidConfig):
        open_dataset(of_shards(write_parquet_shards(tmp_path / "p") / "*.parquet"))
    monkeypatch.setenv("RETORT_SHARD_CACHE_BYTES", "many")
    with pytest.raises(InvalidConfig):
        open_dataset(of_shards(tmp_path / "p" / "*.parquet"))


# -- a server ----------------------------------------------------------------------------------------------------------


def test_shards_of_a_server_are_fetched_once_for_all_epochs(tmp_path):
    with site(write_shards(tmp_path / "s", 4, 5)) as server:
        given_ = of_shards(server.url("{000000..000003}.tar"))
        write(index_of(given_, DEFAULT, tmp_path), tmp_path / "s.shards")
        server.asked.clear()
        samples = open_dataset(of_shards("", index=tmp_path / "s.shards")).train
        assert server.asked == []
        loader = Loader(samples, range(len(samples)), 4, SEEN, drop_last=False)
        for epoch in range(2):
            assert sum(len(batch.index) for batch in loader.epoch(epoch)) == len(samples)
        assert sorted(server.asked) == [f"/{i:06}.tar" for i in range(4)]


def test_parquet_of_a_server_is_unpacked_once(tmp_path):
    with site(write_parquet_shards(tmp_path / "p", 2)) as server:
        write(index_of(of_shards(server.url("{000..001}.parquet")), DEFAULT, tmp_path), tmp_path / "p.shards")
        server.asked.clear()
        samples = open_dataset(of_shards("", index=tmp_path / "p.shards")).train
        assert [samples.image(i).size for i in range(len(samples))]
        assert sorted(server.asked) == ["/000.parquet", "/001.parquet"]
    kept = tmp_path / "cache" / "kept"
    assert not list((kept / "making").iterdir())


@pytest.mark.parametrize("fault", ["503", "cut"])
def test_a_server_that_stumbles_is_asked_again(tmp_path, fault):
    folder = write_shards(tmp_path / "s", 2, 20)
    with site(folder) as server:
        name = server.url("000000.tar")
        server.stumbles["000000.tar"] = [fault, fault]
        assert b"".join(origin.read(name)) == (folder / "000000.tar").read_bytes()
        server.stumbles["000000.tar"] = ["503"] * 9
        with pytest.raises(ShardUnavailable) as caught:
            b"".join(origin.read(name))
        assert caught.value.retryable


def test_a_shard_that_its_server_lost_or_changed_is_named(tmp_path):
    folder = write_shards(tmp_path / "s", 2, 20)
    with site(folder) as server:
        write(index_of(of_shards(server.url("{000000..000001}.tar")), DEFAULT, tmp_path), tmp_path / "s.shards")
        samples = open_dataset(of_shards("", index=tmp_path / "s.shards")).train
        whole = (folder / "000001.tar").read_bytes()
        last = len(samples) - 1
        for damaged in (whole[:-1024], whole + b"\0" * 512, whole[:600] + b"?" + whole[601:]):
            (folder / "000001.tar").write_bytes(damaged)
            with pytest.raises(ShardChanged) as caught:
                samples.image(last)
            assert caught.value.details["shard"].endswith("000001.tar")
        (folder / "000001.tar").unlink()
        with pytest.raises(ShardGone):
            samples.image(last)
        (folder / "000001.tar").write_bytes(whole)
        assert samples.image(last).size


def test_worker_processes_see_the_same_and_their_errors_reach_the_loop(tmp_path):
    folder = write_shards(tmp_path / "s", 2, 20)
    with site(folder) as server:
        write(index_of(of_shards(server.url("{000000..000001}.tar")), DEFAULT, tmp_path), tmp_path / "s.shards")
        samples = open_dataset(of_shards("", index=tmp_path / "s.shards")).train
        alone = Loader(samples, range(len(samples)), 4, SEEN, augmentation="crop_flip")
        loader = Loader(samples, range(len(samples)), 4, SEEN, augmentation="crop_flip", workers=1)
        for a, b in zip(alone.epoch(0), loader.epoch(0), strict=True):
            assert torch.equal(a.student, b.student)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        (folder / "000001.tar").unlink()
        with pytest.raises(ShardGone) as caught:
            list(loader.epoch(1))
        loader.close()
        assert caught.value.remedy


def test_classes_of_parquet_shards_must_be_the_same(tmp_path):
    images = [sample(n)[f"{n:05}.jpg"] for n in range(4)]
    write_parquet(tmp_path / "000.parquet", list(images), [0, 1, 0, 1], ["a", "b"])
    write_parquet(tmp_path / "001.parquet", list(images), [0, 1, 0, 1], ["b", "a"])
    with pytest.raises(InvalidDataset) as caught:
        open_dataset(of_shards(tmp_path / "*.parquet"))
    assert caught.value.details["shard"].endswith("001.parquet")


def test_groups_are_fetched_a_window_ahead_and_no_further():
    fetched, reached = [], threading.Semaphore(0)

    def fetch(group: int) -> None:
        fetched.append(group)
        reached.release()

    ahead = Ahead(torch.tensor([4, 4, 2, 2, 7, 7, 1, 1]), fetch, window=2)
    ahead.reached(0)
    for _ in range(3):
        assert reached.acquire(timeout=10)
    ahead.reached(2)
    assert reached.acquire(timeout=10)
    ahead.close()
    assert fetched == [4, 2, 7, 1]
