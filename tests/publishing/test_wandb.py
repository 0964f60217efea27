"""Offline runs of Weights & Biases: their records, and `wandb sync` of the real client, which reads and uploads them.

`make test-wandb` installs the client into an environment of its own. It uploads to a server of ours, not to W&B's.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from publishing.wandb_file import WandbFile
from tests.publishing import wandb_server
from tests.publishing.world import METRICS, World, ask, files, look
from tests.slowness import within

HISTORY, SUMMARY, FILES, RUN = 2, 3, 6, 17  # fields of wandb_internal.proto's Record
Fields = list[tuple[int, Any]]


def fields(message: bytes) -> Fields:
    """Numbers and values of a protocol buffer, as its specification says."""
    stream, found = io.BytesIO(message), []

    def varint() -> int:
        value = shift = 0
        while (byte := stream.read(1)[0]) & 0x80:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
        return value | byte << shift

    while stream.tell() < len(message):
        number, kind = divmod(varint(), 8)
        assert kind in (0, 2)
        found.append((number, varint() if kind == 0 else stream.read(varint())))
    return found


def records(content: bytes) -> Iterator[Fields]:
    """Of a log of LevelDB with W&B's opening: blocks of 32 KiB, each piece with checksum, length and kind."""
    assert content[:7] == b":W&B\xe1\xbe\x00"
    at, joined, going = 7, b"", False
    while at < len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        checksum, length, kind = struct.unpack("<IHB", content[at : at + 7])
        piece, at = content[at + 7 : at + 7 + length], at + 7 + length
        assert len(piece) == length
        assert zlib.crc32(bytes([kind]) + piece) == checksum
        assert going == (kind in (3, 4))
        joined, going = joined + piece, kind in (2, 3)
        if not going:
            yield fields(joined)
            joined = b""
    assert not going


def items(record: Fields, kind: int) -> list[dict[str, Any]]:
    """Name and value of each item, of every record of a kind."""
    (message,) = [value for number, value in record if number == kind]
    pairs = [dict(fields(value)) for number, value in fields(message) if number == 1]
    return [{"name": pair[2].decode(), "value": json.loads(pair[16])} for pair in pairs]


def of_kind(content: bytes, kind: int) -> list[Fields]:
    return [record for record in records(content) if any(number == kind for number, _ in record)]


def wanted() -> dict[int, dict[str, float]]:
    """The history as rows: a step's values of all splits."""
    rows: dict[int, dict[str, float]] = {}
    for step, split, values in METRICS:
        rows.setdefault(step, {}).update({f"{split}/{name}": value for name, value in values.items()})
    return rows


@pytest.fixture(scope="module")
def published(world: World, client: TestClient, student: str) -> dict[str, Any]:
    made = ask(client, student, "wandb", project="birds", again=True)
    assert world.run(made) == "succeeded"
    return look(client, made)


@pytest.fixture(scope="module")
def archive(client: TestClient, published: dict[str, Any]) -> bytes:
    (file,) = published["files"]
    content = client.get(file["href"]).content
    assert hashlib.sha256(content).hexdigest() == file["sha256"]
    return content


def test_the_run_has_a_row_a_step_and_the_files(published: dict[str, Any], archive: bytes, student: str) -> None:
    receipt = published["receipt"]
    assert (receipt["run_id"], receipt["steps"]) == (published["id"], len(wanted()))
    run = receipt["file"].removesuffix(".zip")
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        for name, content, _ in files():
            assert found.read(f"{run}/files/{name}") == content
        log = found.read(f"{run}/run-{published['id']}.wandb")
    rows = [{each["name"]: each["value"] for each in items(record, HISTORY)} for record in of_kind(log, HISTORY)]
    assert [row["_step"] for row in rows] == sorted(wanted())
    for row in rows:
        assert {name: row[name] for name in wanted()[row["_step"]]} == wanted()[row["_step"]]
    (about,) = of_kind(log, RUN)
    (message,) = [dict(fields(value)) for number, value in about if number == RUN]
    assert (message[1].decode(), message[3], message[8]) == (published["id"], b"birds", b"birds")
    config = {pair[2].decode(): json.loads(pair[16]) for pair in (dict(fields(v)) for _, v in fields(message[4]))}
    assert (config["recipe"], config["retort.job"]) == ("feature_only", student)
    (last,) = of_kind(log, SUMMARY)
    assert {each["name"]: each["value"] for each in items(last, SUMMARY)}["result"] == {"student": {"accuracy": 0.9}}


def test_records_go_on_over_the_end_of_a_block(tmp_path: Path) -> None:
    """Wherever in the last bytes of a block the first of them ends: a piece's head takes seven."""
    for length in range(32640, 32720):
        with WandbFile(tmp_path / "run") as file:
            file.summary({"long": "x" * length})
            file.history(1, {"loss": 0.5, "text": "y" * 70000})
            file.end(1)
        content = (tmp_path / "run").read_bytes()
        (row,) = of_kind(content, HISTORY)
        assert items(row, HISTORY)[1] == {"name": "loss", "value": 0.5}
        assert [dict(record)[1] for record in records(content)] == [1, 2, 3, 4]


@pytest.mark.slow
def test_the_client_reads_and_uploads_it(published: dict[str, Any], archive: bytes, tmp_path: Path) -> None:
    program = os.environ.get("RETORT_WANDB")
    if not program:
        pytest.skip("RETORT_WANDB names no program: make test-wandb")
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        found.extractall(tmp_path)
    run = tmp_path / published["receipt"]["file"].removesuffix(".zip")
    own = {"HOME": str(tmp_path), "WANDB_API_KEY": "a" * 40, "WANDB_ERROR_REPORTING": "false"}
    with wandb_server.running() as server:
        command = [program, "sync", str(run)]
        environment = os.environ | own | {"WANDB_BASE_URL": server.url}
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=within(60), check=False
        )
    assert done.returncode == 0, done.stderr
    assert {name: row["_step"] for name, row in server.history.items()} == dict(enumerate(sorted(wanted())))
    for row in server.history.values():
        assert {name: row[name] for name in wanted()[row["_step"]]} == wanted()[row["_step"]]
    assert {name: server.files.get(name) for name, _, _ in files()} == {name: content for name, content, _ in files()}
    assert (server.runs[0]["name"], server.runs[0]["project"]) == (published["id"], "birds")
