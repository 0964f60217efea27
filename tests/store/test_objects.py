"""One contract for every object store."""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from store.objects import FolderStore, ObjectMissing, ObjectStore, S3Store, StorageUnavailable, open_store
from store.objects.base import CHUNK_BYTES, ObjectInfo, describe, fetch, verify
from store.settings import Settings
from tests.services.processes import free_ports
from tests.services.s3 import ACCESS_KEY, S3, SECRET_KEY
from worker.jobs.uploading import key_of

KEY = "jobs/job_1/artifacts/1/student.safetensors"


def file_of(folder: Path, data: bytes, name: str = "source") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def content(store: ObjectStore, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(store.read(key, start, end))


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 6 * CHUNK_BYTES + 7])
def test_put_gives_back_what_was_given(objects: ObjectStore, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    info = objects.put(KEY, file_of(tmp_path, data))
    assert info == ObjectInfo(KEY, size, hashlib.sha256(data).hexdigest())
    assert objects.size(KEY) == size
    assert content(objects, KEY) == data
    assert verify(objects, info)
    assert fetch(objects, KEY, tmp_path / "back") == info
    assert (tmp_path / "back").read_bytes() == data
    assert describe(KEY, tmp_path / "back") == info


def test_ranges_are_half_open(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put(KEY, file_of(tmp_path, b"0123456789"))
    for start, end, expected in (
        (0, 4, b"0123"), (3, None, b"3456789"), (9, 10, b"9"), (2, 2, b""), (5, 3, b""), (4, 100, b"456789"),
        (10, None, b""), (10, 20, b""), (0, 10, b"0123456789"),
    ):  # fmt: skip
        assert content(objects, KEY, start, end) == expected, (start, end)


def test_what_is_not_there_is_missing_before_the_first_chunk(objects: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(ObjectMissing):
        objects.read("jobs/none")
    with pytest.raises(ObjectMissing):
        objects.size("jobs/none")
    with pytest.raises(ObjectMissing):
        fetch(objects, "jobs/none", tmp_path / "target")
    assert list(tmp_path.glob("target*")) == []
    objects.delete("jobs/none")


def test_put_replaces_and_delete_removes(objects: ObjectStore, tmp_path: Path) -> None:
    objects.put(KEY, file_of(tmp_path, b"one, longer"))
    objects.put(KEY, file_of(tmp_path, b"two"))
    assert content(objects, KEY) == b"two"
    objects.delete(KEY)
    with pytest.raises(ObjectMissing):
        objects.size(KEY)


def test_keys_by_prefix(objects: ObjectStore, tmp_path: Path) -> None:
    source = file_of(tmp_path, b"x")
    for key in ("jobs/a/1", "jobs/a/2", "jobs/ab/1", "teachers/t"):
        objects.put(key, source)
    assert sorted(objects.keys("jobs/a/")) == ["jobs/a/1", "jobs/a/2"]
    assert sorted(objects.keys("jobs/")) == ["jobs/a/1", "jobs/a/2", "jobs/ab/1"]
    assert list(objects.keys("none/")) == []


@pytest.mark.parametrize("step", [-6, 0, 100])  # below 0: while a recipe is chosen
def test_every_store_takes_a_checkpoint_of_any_step(objects: ObjectStore, tmp_path: Path, step: int) -> None:
    key = key_of("job_1", step, 1, ".pt")
    objects.put(key, file_of(tmp_path, b"weights"))
    assert list(objects.keys("jobs/job_1/checkpoints/")) == [key]
    assert content(objects, key) == b"weights"


def test_verify_sees_other_bytes(objects: ObjectStore, tmp_path: Path) -> None:
    info = objects.put(KEY, file_of(tmp_path, b"right"))
    objects.put(KEY, file_of(tmp_path, b"wrong"))
    assert not verify(objects, info)
    objects.put(KEY, file_of(tmp_path, b"right and more"))
    assert not verify(objects, info)


def test_a_missing_local_file_is_the_callers_mistake(objects: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        objects.put(KEY, tmp_path / "none")
    assert list(objects.keys("")) == []


def test_a_reader_sees_the_whole_old_or_the_whole_new(objects: ObjectStore, tmp_path: Path) -> None:
    contents = {bytes([n]) * 300_000 for n in range(4)}
    sources = [file_of(tmp_path, data, f"s{n}") for n, data in enumerate(contents)]
    objects.put(KEY, sources[0])
    done = threading.Event()

    def write() -> None:
        for source in sources * 3:
            objects.put(KEY, source)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert content(objects, KEY) in contents
    writer.join()


def test_ping(objects: ObjectStore) -> None:
    objects.ping()


# ---- what only one kind does


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", "a//b", ".hidden", "a/.incoming", "", "a/", "\0"])
def test_the_folder_takes_no_key_that_leaves_it(folder_store: FolderStore, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        folder_store.put(key, file_of(tmp_path, b"x"))


def test_the_folder_keeps_no_empty_folder(folder_store: FolderStore, tmp_path: Path) -> None:
    folder_store.put(KEY, file_of(tmp_path, b"x"))
    folder_store.delete(KEY)
    assert [path.name for path in folder_store.root.iterdir()] == [".incoming"]


def test_the_folder_survives_puts_and_deletes_side_by_side(folder_store: FolderStore, tmp_path: Path) -> None:
    source = file_of(tmp_path, b"x")

    def churn(number: int) -> None:
        for _ in range(40):
            folder_store.put(f"a/b/{number}", source)
            folder_store.delete(f"a/b/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    folder_store.put("a/b/c", source)
    assert content(folder_store, "a/b/c") == b"x"


def test_a_folder_that_cannot_be_written_is_unavailable(folder_store: FolderStore, tmp_path: Path) -> None:
    (folder_store.root / "jobs").write_text("a file in the way")
    with pytest.raises(StorageUnavailable, match="cannot write"):
        folder_store.put(KEY, file_of(tmp_path, b"x"))
    assert not any((folder_store.root / ".incoming").iterdir())


def test_the_folder_has_no_urls(folder_store: FolderStore) -> None:
    assert folder_store.presigned(KEY, "a", "text/plain", 60) is None


@pytest.mark.services
def test_s3_presigns_for_clients(s3_store: S3Store, tmp_path: Path) -> None:
    s3_store.put(KEY, file_of(tmp_path, b"weights"))
    url = s3_store.presigned(KEY, "student.safetensors", "application/octet-stream", 60)
    assert url is not None
    answer = urllib3.request("GET", url)
    assert (answer.status, answer.data) == (200, b"weights")
    assert answer.headers["content-disposition"] == 'attachment; filename="student.safetensors"'
    assert urllib3.request("GET", url.replace("student", "teacher")).status in {403, 404}


def test_an_s3_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = S3Store(f"http://127.0.0.1:{free_ports(1)[0]}", "", "bucket", "us-east-1", "key", "secret")
    for use in (store.ping, lambda: store.size(KEY), lambda: store.put(KEY, file_of(tmp_path, b"x"))):
        with pytest.raises(StorageUnavailable):
            use()


@pytest.mark.services
def test_wrong_credentials_are_unavailable_not_missing(s3: S3) -> None:
    store = S3Store(s3.endpoint, "", s3.new_bucket(), "us-east-1", ACCESS_KEY, SECRET_KEY + "x")
    with pytest.raises(StorageUnavailable, match="S3 answered"):
        store.size(KEY)


@pytest.mark.services
def test_two_workers_make_the_bucket_at_once(s3: S3, tmp_path: Path) -> None:
    bucket, source = s3.new_bucket(), file_of(tmp_path, b"x")

    def first_use(number: int) -> ObjectInfo:
        return S3Store(s3.endpoint, "", bucket, "us-east-1", ACCESS_KEY, SECRET_KEY).put(f"k{number}", source)

    with ThreadPoolExecutor(4) as pool:
        assert {info.size_bytes for info in pool.map(first_use, range(4))} == {1}


def test_the_settings_choose(tmp_path: Path) -> None:
    assert isinstance(open_store(Settings(data_dir=tmp_path)), FolderStore)
    s3 = Settings(data_dir=tmp_path, s3_endpoint="http://127.0.0.1:1", s3_access_key="k", s3_secret_key="x" * 20)
    assert isinstance(open_store(s3), S3Store)
