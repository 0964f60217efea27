"""A dataset of shards from registration to report: the commands, the Q curve, a job that goes on in the middle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from distill.commands.shards import shards
from distill.commands.study import parse_dataset, study
from distill.errors import InvalidConfig
from tests.data.shard_files import site, write_shards

STUDY = [
    "--teacher", "retort:resnet8?width=4", "--student", "retort:resnet8?width=4", "--recipes", "feature_only",
    "--selections", "even", "--seeds", "1", "--epochs", "1", "--set", "layers=2", "--set", "quality_samples=12",
    "--set", "precision=fp32", "--set", "batch_size=8", "--set", "image_size=16",
]  # fmt: skip
"""What is studied here, but for the dataset."""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RETORT_SHARD_CACHE", str(tmp_path / "cache"))


def test_shards_of_a_server_are_registered_and_a_student_learns_from_them(tmp_path: Path) -> None:
    with site(write_shards(tmp_path / "s", 4, 15)) as server:
        told = CliRunner().invoke(
            shards,
            ["--dataset", server.url("{000000..000003}.tar"), "--index", str(tmp_path / "photos.shards")],
            catch_exceptions=False,
        )
        assert told.exit_code == 0, told.output
        report = json.loads(told.output)
        assert len(report["manifest"]["shards"]) == 4
        assert sum(map(sum, report["counts"].values())) == 60
        arguments = ["--dataset", str(tmp_path / "photos.shards"), *STUDY, "--output", str(tmp_path / "study")]
        result = CliRunner().invoke(study, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "study" / "study.json").read_text())
    assert {row["finished"] for row in found["table"]} == {1}
    reports = [json.loads(path.read_text()) for path in (tmp_path / "study").rglob("report.json")]
    assert reports
    assert {each["digests"]["dataset"] for each in reports} == {report["digest"]}
    assert list((tmp_path / "study").rglob("*curve*.csv"))


def test_what_names_shards(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "photos", 2, 2)
    braces = str(folder / "{000000..000001}.tar")
    for given in (str(folder), braces, str(folder / "*.tar"), "https://example.org/photos/{0..3}.tar?a=b"):
        assert parse_dataset((given,)).model_dump(include={"kind", "name"}) == {"kind": "shards", "name": "photos"}
    assert parse_dataset((f"train={braces}", f"test={braces}")).files == {"train": braces, "test": braces}
    assert parse_dataset(("a/photos.shards",)).files == {"index": "a/photos.shards"}
    assert parse_dataset((str(folder / "000000.tar"),)).kind == "archive"
    with pytest.raises(InvalidConfig):
        parse_dataset(("train=/nowhere/a.zip",))


def test_what_is_no_shards_is_told(tmp_path: Path) -> None:
    folder = write_shards(tmp_path / "photos", 2, 2)
    for arguments in (["--dataset", "digits"], ["--dataset", str(folder), "--index", str(tmp_path / "x.parquet")]):
        result = CliRunner().invoke(shards, arguments)
        assert result.exit_code != 0
        assert result.output.strip()
