"""Shards of a bucket and of the hub for the commands: the same samples as from this machine, by the same settings as a
worker's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from minio import Minio

from distill.commands.shards import shards
from distill.commands.study import parse_dataset, study
from distill.data.limits import DEFAULT
from distill.errors import InvalidConfig, InvalidDataset
from distill.modalities.images import open_dataset
from distill.modalities.images.kinds.shards import index_of
from distill.modalities.images.shards import origin
from distill.modalities.images.shards.listing import listed
from distill.modalities.images.shards.refusal import ShardGone, ShardUnavailable
from tests.data.shard_files import Site, of_shards, site, write_shards
from tests.services import s3 as s3_server
from tests.services.s3 import ACCESS_KEY, SECRET_KEY
from tests.studying.test_sharded_study import STUDY

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETORT_SHARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(origin, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_shards(tmp_path / "s", 4, 15)


@pytest.fixture
def bucket(s3: s3_server.S3, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """With four shards and a list of them in `photos/`, and more beside and below; its keys are in the environment."""
    name = s3.new_bucket()
    store = Minio(s3.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    store.make_bucket(bucket_name=name)
    (tmp_path / "list.txt").write_text("# all\n000000.tar\n{000001..000003}.tar\n")
    (tmp_path / "secret").write_text(f"{SECRET_KEY}\n")
    for path in (*folder.iterdir(), tmp_path / "list.txt"):
        for key in (f"photos/{path.name}", f"photos/old/{path.name}", f"old-{path.name}"):
            store.fput_object(bucket_name=name, object_name=key, file_path=str(path))
    monkeypatch.setenv("RETORT_S3_ENDPOINT", s3.endpoint)
    monkeypatch.setenv("RETORT_S3_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("RETORT_S3_SECRET_KEY_FILE", str(tmp_path / "secret"))
    return name


@pytest.fixture
def hub(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The hub's paths of a dataset `o/n` with the shards in `data/`."""
    served, tree = tmp_path / "hub", tmp_path / "hub/api/datasets/o/n/tree" / COMMIT
    lying = served / "datasets/o/n/resolve" / COMMIT / "data"
    lying.parent.mkdir(parents=True)
    tree.mkdir(parents=True)
    names = sorted(path.name for path in folder.iterdir())
    folder.rename(lying)
    entries = [{"type": "file", "path": f"data/{name}"} for name in (*names, "readme.md")]
    (tree / "data").write_text(json.dumps([*entries, {"type": "directory", "path": "data/more"}]))
    with site(served) as server:
        monkeypatch.setenv("RETORT_HUGGINGFACE_ENDPOINT", server.url("").rstrip("/"))
        yield server


def registered(given: str, index: Path) -> dict[str, Any]:
    told = CliRunner().invoke(shards, ["--dataset", given, "--index", str(index)], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    found: dict[str, Any] = json.loads(told.output)
    return found


@pytest.mark.services
def test_a_bucket_is_registered_and_a_student_learns_from_it(bucket: str, folder: Path, tmp_path: Path) -> None:
    names = [f"s3://{bucket}/photos/{n:06}.tar" for n in range(4)]
    for given in ("", "0*.tar", "{000000..000003}.tar", "list.txt"):
        assert listed(f"s3://{bucket}/photos/{given}") == names
    assert parse_dataset((f"s3://{bucket}/photos/",)).name == "photos"

    here, there = registered(str(folder), tmp_path / "h.shards"), registered(names[0][:-10], tmp_path / "t.shards")
    assert (there["digest"], there["manifest"]["digest"]) == (here["digest"], here["manifest"]["digest"])
    assert [shard["name"] for shard in there["manifest"]["shards"]] == names

    output = tmp_path / "study"
    result = CliRunner().invoke(
        study, ["--dataset", str(tmp_path / "t.shards"), *STUDY, "--output", str(output)], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    reports = [json.loads(path.read_text()) for path in output.rglob("report.json")]
    assert {each["digests"]["dataset"] for each in reports} == {here["digest"]}


@pytest.mark.services
def test_an_index_of_a_bucket_is_kept_until_a_shard_changes(
    bucket: str, folder: Path, s3: s3_server.S3, tmp_path: Path
) -> None:
    dataset = of_shards(f"s3://{bucket}/photos/")
    first = index_of(dataset, DEFAULT, None)
    assert all(shard.mark for shard in first.shards)
    store = Minio(s3.endpoint.removeprefix("http://"), ACCESS_KEY, SECRET_KEY, secure=False)
    other = write_shards(tmp_path / "o", 5, 15) / "000004.tar"
    store.fput_object(bucket_name=bucket, object_name="photos/000001.tar", file_path=str(other))
    assert index_of(dataset, DEFAULT, None).shards[1].sha256 != first.shards[1].sha256


@pytest.mark.services
def test_a_bucket_that_does_not_serve_says_what_to_look_at(
    bucket: str, s3: s3_server.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ShardGone) as gone:
        open_dataset(of_shards(f"s3://{bucket}/{{7..8}}.tar"))
    assert gone.value.details["shard"] == f"s3://{bucket}/7.tar"
    with pytest.raises(InvalidDataset) as none:
        listed("s3://no-bucket-of-ours/*.tar")
    assert none.value.details == {"shards": "s3://no-bucket-of-ours/"}
    with pytest.raises(InvalidDataset):
        listed("s3://photos")

    monkeypatch.setenv("RETORT_S3_SECRET_KEY", "a-wrong-one")
    for given in ("photos/", "photos/000000.tar"):
        with pytest.raises(InvalidDataset) as denied:
            open_dataset(of_shards(f"s3://{bucket}/{given}"))
        assert "RETORT_S3_ACCESS_KEY" in denied.value.remedy

    monkeypatch.setenv("RETORT_S3_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ShardUnavailable):
        open_dataset(of_shards(f"s3://{bucket}/photos/000000.tar"))


@pytest.mark.parametrize("missing", ["RETORT_S3_ENDPOINT", "RETORT_S3_ACCESS_KEY"])
def test_a_bucket_without_settings_says_which_are_needed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETORT_S3_ENDPOINT", "RETORT_S3_ACCESS_KEY", "RETORT_S3_SECRET_KEY"):
        monkeypatch.setenv(name, "https://s3.example.org")
    monkeypatch.delenv(missing)
    for given in ("s3://photos/*.tar", "s3://photos/0.tar"):
        with pytest.raises(InvalidConfig) as refused:
            open_dataset(of_shards(given))
        assert missing in refused.value.remedy


def test_a_dataset_of_the_hub_holds_what_its_files_do(hub: Site, tmp_path: Path) -> None:
    base = f"hf://datasets/o/n@{COMMIT}/data/"
    names = [f"{base}{n:06}.tar" for n in range(4)]
    for given in (base, f"{base}0*.tar", f"{base}{{000000..000003}}.tar"):
        assert listed(given) == names
    there = registered(base, tmp_path / "t.shards")
    here = registered(f"{hub.folder}/datasets/o/n/resolve/{COMMIT}/data", tmp_path / "h.shards")
    assert (there["digest"], there["counts"]) == (here["digest"], here["counts"])
    assert open_dataset(parse_dataset((str(tmp_path / "t.shards"),))).digest == here["digest"]


def test_what_no_address_of_shards_may_be(hub: Site) -> None:
    for given in ("hf://datasets/o/n@main/0.tar", "hf://o/n/0.tar", hub.url("*.tar"), hub.url(""), hub.url("a*/0.tar")):
        with pytest.raises(InvalidDataset) as refused:
            open_dataset(of_shards(given))
        assert refused.value.remedy
    with pytest.raises(ShardGone):
        listed(f"hf://datasets/o/n@{COMMIT}/none/*.tar")


def test_a_list_at_an_address_names_what_lies_beside_it(hub: Site) -> None:
    (hub.folder / "list.txt").write_text("# some\n1.tar\nhttps://example.org/{2..3}.tar\n")
    found = [hub.url("1.tar"), "https://example.org/2.tar", "https://example.org/3.tar"]
    assert listed(hub.url("list.txt?a=b")) == found
    (hub.folder / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidDataset):
        listed(hub.url("list.txt"))
