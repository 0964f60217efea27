"""Which URLs a dataset may name, by the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from store.egress import UrlRefused
from store.references import Reference, S3Reference, WebReference, parse
from store.settings import Settings

COMMIT = "0123456789abcdef0123456789abcdef01234567"
S3 = {"s3_endpoint": "http://127.0.0.1:1", "s3_access_key": "k", "s3_secret_key": "not-guessable"}


def settings(folder: Path, **values: Any) -> Settings:
    return Settings(data_dir=folder, **values)


def parsed(folder: Path, url: str, **values: Any) -> Reference:
    return parse(settings(folder, **values), url)


def refused(folder: Path, url: str, **values: Any) -> None:
    with pytest.raises(UrlRefused) as caught:
        parsed(folder, url, **values)
    assert caught.value.remedy
    assert caught.value.fault == "user"


@pytest.mark.parametrize("url", ["https://a.org/x.zip", "s3://b/x.zip", f"hf://datasets/o/n@{COMMIT}/x.parquet"])
def test_by_default_nothing_is_allowed(tmp_path: Path, url: str) -> None:
    refused(tmp_path, url)


def test_hosts(tmp_path: Path) -> None:
    found = parsed(tmp_path, "https://data.a.org/d/x.zip?v=1", dataset_hosts="*.a.org")
    assert isinstance(found, WebReference)
    assert (found.url, found.filename) == ("https://data.a.org/d/x.zip?v=1", "x.zip")
    for url in ("https://b.org/", "https://a.org.b.org/", "http://data.a.org/x", "ftp://data.a.org/x", "data.a.org"):
        refused(tmp_path, url, dataset_hosts="*.a.org")
    for url in ("https://u:p@data.a.org/", "https://data.a.org\n/", "https://data.a.org /", "://", "", "file:///etc"):
        refused(tmp_path, url, dataset_hosts="*")


def test_buckets(tmp_path: Path) -> None:
    allowed = S3 | {"dataset_buckets": "photos, shared/public"}
    assert parsed(tmp_path, "s3://photos/a/x.zip", **allowed) == S3Reference("photos", "a/x.zip", "x.zip")
    assert parsed(tmp_path, "s3://shared/public/x", **allowed) == S3Reference("shared", "public/x", "x")
    for path in ("retort/x", "other/x", "photos2/x", "shared/x", "shared/publicity/x", "photos", "photos/"):
        refused(tmp_path, f"s3://{path}", **allowed)
    for path in (
        "photos/../retort/x",
        "photos/./x",
        "photos//x",
        "photos/a\\..\\x",
        "Photos/x",
        "photos/" + "a" * 1100,
    ):
        refused(tmp_path, f"s3://{path}", **allowed)


def test_the_hub_by_commit_only(tmp_path: Path) -> None:
    found = parsed(tmp_path, f"hf://datasets/o/n@{COMMIT}/data/a b.parquet".replace(" ", ""), huggingface=True)
    assert isinstance(found, WebReference)
    assert found.url == f"https://huggingface.co/datasets/o/n/resolve/{COMMIT}/data/ab.parquet"
    assert found.filename == "ab.parquet"
    assert found.policy.hosts == ("huggingface.co", "*.hf.co", "*.huggingface.co")
    for text in (
        "o/n@main/x",
        "o/n/x",
        f"o/n@{COMMIT}",
        f"o/n@{COMMIT}/../x",
        f"o/../n@{COMMIT}/x",
        f"o/n@{COMMIT[:7]}/x",
    ):
        refused(tmp_path, f"hf://datasets/{text}", huggingface=True)
    refused(tmp_path, f"hf://models/o/n@{COMMIT}/x", huggingface=True)
    refused(tmp_path, "https://huggingface.co/x", huggingface=True)  # only by what pins a revision


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dataset_networks": "ten"}, "RETORT_DATASET_NETWORKS"),
        ({"dataset_buckets": "photos"}, "RETORT_S3_ENDPOINT"),
        (S3 | {"dataset_buckets": "photos, retort"}, "every tenant's objects"),
        (S3 | {"dataset_buckets": "retort/public"}, "every tenant's objects"),
    ],
)
def test_settings_that_would_run_wrong(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(tmp_path, **values)
