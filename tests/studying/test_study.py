"""The study command on digits: the grid, the table, resumption, and honest counting of runs that diverged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from distill.cli import study
from distill.commands.study import parse_architecture, parse_dataset, parse_recipes
from distill.errors import AtChance, Diverged, InvalidConfig, UnknownName
from distill.studying import grid
from distill.studying.lock import alone_in
from distill.studying.table import markdown, rows

ARGUMENTS = [
    "--dataset", "digits", "--teacher", "retort:resnet8?width=8", "--student", "retort:resnet8?width=4",
    "--recipes", "cross_entropy,feature_only,feature_only?feature_loss=gram", "--selections", "even",
    "--seeds", "2", "--epochs", "1", "--set", "layers=2", "--set", "train_limit=200", "--set", "quality_samples=50",
    "--set", "precision=fp32",
]  # fmt: skip


def invoke(folder: Path, *more: str) -> str:
    arguments = ARGUMENTS[2:] if "--dataset" in more else ARGUMENTS
    result = CliRunner().invoke(study, [*arguments, *more, "--output", str(folder)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_grid_table_and_resumption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = grid.run

    def counted(spec: Any, folder: Path, control: Any) -> Any:
        calls.append(folder.name)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(spec, folder, control)

    monkeypatch.setattr(grid, "run", counted)
    with pytest.raises(BaseException):  # noqa: B017, PT011  (click turns Ctrl-C into its own)
        CliRunner().invoke(
            study, [*ARGUMENTS, "--output", str(tmp_path)], catch_exceptions=False, standalone_mode=False
        )
    interrupted = len(calls)
    output = invoke(tmp_path)
    # one teacher and 2 seeds x (1 baseline + 2 variants); only the interrupted cell ran twice
    assert len(calls) == 1 + 6 + 1
    assert interrupted == 5
    assert output.count("(finished before)") == 3
    data = json.loads((tmp_path / "study.json").read_text())
    assert len(data["runs"]) == 6
    assert {row["finished"] for row in data["table"]} == {2}
    text = (tmp_path / "study.md").read_text()
    assert text.count("\n| feature_only") == 2
    assert "2 of 2" in text
    calls.clear()
    invoke(tmp_path)
    assert calls == []


def test_other_contents_of_the_same_files_and_failed_cells_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real, broken = grid.run, ["cross_entropy"]

    def counted(spec: Any, folder: Path, control: Any) -> Any:
        calls.append(folder.name)
        if folder.name != "teacher" and spec.config.recipe in broken:
            raise InvalidConfig("No.", "Mend it.")
        return real(spec, folder, control)

    monkeypatch.setattr(grid, "run", counted)
    data, output = tmp_path / "data", tmp_path / "study"
    arguments = ["--recipes", "cross_entropy,feature_only", "--seeds", "1", "--dataset", str(data)]
    pictures(data, seed=0)
    assert "failed: No." in invoke(output, *arguments)
    broken.clear()
    calls.clear()
    invoke(output, *arguments)
    assert [name[:20] for name in calls] == ["seed0-cross_entropy-"]
    calls.clear()
    pictures(data, seed=1)
    invoke(output, *arguments)
    assert len(calls) == 3  # the teacher too


def pictures(folder: Path, seed: int) -> None:
    """Two classes of 40 tiny pictures, the same names for every seed."""
    drawn = np.random.default_rng(seed).integers(0, 256, (2, 40, 8, 8, 3), dtype=np.uint8)
    for name, images in zip(
        ("dark", "light"), drawn // 2 + np.array([0, 127], np.uint8)[:, None, None, None, None], strict=True
    ):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{number}.png")


def test_rules_that_choose_the_same_layers_share_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real = grid.run

    def counted(spec: Any, folder: Path, control: Any) -> Any:
        calls.append(folder.name)
        return real(spec, folder, control)

    monkeypatch.setattr(grid, "run", counted)
    more = ["--recipes", "feature_only", "--seeds", "1", "--set", "layers=4"]
    output = invoke(tmp_path, *more, "--selections", "last,even,top_s", "--set", "selection_parameters={}")
    chosen = {o["selection"]: o["chosen"] for o in json.loads((tmp_path / "study.json").read_text())["runs"]}
    assert len(calls) == 1 + len({tuple(layers) for layers in chosen.values()})
    calls.clear()
    again = invoke(tmp_path, *more, "--selections", "last,even,top_s", "--set", "epochs=1")
    assert calls == []
    repeated = len(chosen) - len({tuple(layers) for layers in chosen.values()})
    assert output.count("not run again") == again.count("not run again") == repeated


def test_a_shared_run_names_the_rule_that_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "choose", lambda curve, *_: replace(curve, chosen=forced))
    more = ["--recipes", "feature_only", "--seeds", "1"]
    forced: tuple[int, ...] = (-1,)
    invoke(tmp_path, *more)
    forced = tuple(json.loads((tmp_path / "study.json").read_text())["runs"][0]["chosen"])
    output = invoke(tmp_path, *more, "--selections", "even,last")
    assert "the layers of even, not run again" in output
    run = json.loads((tmp_path / "study.json").read_text())["runs"][1]
    assert (run["selection"], run["same_as"]) == ("last", "even")
    assert "(the run of even)" in (tmp_path / "study.md").read_text()


def outcome(recipe: str, selection: str, seed: int, accuracy: float | None) -> dict[str, Any]:
    base = {"recipe": recipe, "selection": selection, "seed": seed}
    if accuracy is None:
        return base | {"status": "diverged", "message": "Training diverged at step 3."}
    numbers = {"accuracy": accuracy, "agreement": 0.8, "teacher_accuracy": 0.9, "seconds": 10.0, "chosen": [1]}
    return base | {"status": "finished"} | numbers


def test_rows_pair_seeds_and_count_what_diverged() -> None:
    outcomes = [
        outcome("cross_entropy", "", 0, 0.5), outcome("cross_entropy", "", 1, 0.6),
        outcome("feature_only", "top_q", 0, 0.6), outcome("feature_only", "top_q", 1, 0.8),
        outcome("feature_only", "even", 0, None), outcome("feature_only", "even", 1, 0.4),
    ]  # fmt: skip
    table = rows(outcomes)
    assert (table[0]["recipe"], table[0]["selection"]) == ("feature_only", "top_q")
    best, even = table[0], table[-1]
    assert best["mean"] == pytest.approx(0.7)
    assert best["sd"] == pytest.approx(0.1 * 2**0.5)
    assert best["against_cross_entropy"] == pytest.approx(0.15)
    assert best["against_teacher"] == pytest.approx(-0.2)
    assert (even["finished"], even["diverged"], even["sd"]) == (1, 1, None)
    assert even["against_cross_entropy"] == pytest.approx(-0.2)
    text = markdown(table, {"title": "t", "facts": {}}, outcomes)
    assert "| feature_only | even | 40.00 | -20.00 | -50.00 | 80.00 | 1 of 2 | 1 | 0 | 10 |" in text
    assert "seed 0: diverged: Training diverged at step 3." in text


@pytest.mark.parametrize("ending", [Diverged, AtChance])
def test_a_diverged_run_is_an_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: type[Diverged]) -> None:
    real = grid.run

    def diverging(spec: Any, folder: Path, control: Any) -> Any:
        if spec.config.recipe == "feature_only":
            raise ending("Training diverged at step 7.", "Lower it.", {"step": 7})
        return real(spec, folder, control)

    monkeypatch.setattr(grid, "run", diverging)
    output = invoke(tmp_path, "--recipes", "cross_entropy,feature_only", "--seeds", "1")
    assert "diverged: Training diverged at step 7." in output
    table = json.loads((tmp_path / "study.json").read_text())["table"]
    assert [row["diverged"] for row in table] == [0, 1]


def test_parsing(tmp_path: Path) -> None:
    assert parse_architecture("timm:vit?depth=2,img_size=32").options == {"depth": 2, "img_size": 32}
    assert parse_recipes("logit,feature_only?feature_loss=gram+grid=1") == [
        ("logit", {}),
        ("feature_only", {"feature_loss": "gram", "grid": 1}),
    ]
    assert "simkd" in [name for name, _ in parse_recipes("all")]
    assert parse_dataset(("digits",)).kind == "named"
    (tmp_path / "a.parquet").touch()
    assert parse_dataset((f"train={tmp_path / 'a.parquet'}", f"test={tmp_path}")).kind == "parquet"
    assert parse_dataset((str(tmp_path),)).files == {"all": str(tmp_path)}
    (tmp_path / "train.parquet").touch()
    assert parse_dataset((f"train={tmp_path / 'train.parquet'}",)).name == tmp_path.name
    assert parse_dataset((f"train={tmp_path / 'a.parquet'}",)).name == "a"
    with pytest.raises(UnknownName):
        parse_recipes("lojit")
    with pytest.raises(InvalidConfig, match="no name=value"):
        parse_recipes("logit?temperature")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--recipes", "lojit"], "lojit"),
        (["--selections", "topq"], "topq"),
        (["--set", "epoch=3"], "no setting 'epoch'"),
        (["--set", "batch_size=0"], "cannot be used"),
        (["--dataset", "train=/nowhere"], "/nowhere"),
    ],
)
def test_bad_arguments_are_told(tmp_path: Path, more: list[str], words: str) -> None:
    arguments = [*ARGUMENTS, *more, "--output", str(tmp_path / "out")]
    arguments = arguments[2:] if "--dataset" in more else arguments
    result = CliRunner().invoke(study, arguments)
    assert result.exit_code == 1
    assert words in result.output
    assert not (tmp_path / "out").exists()


def refused(folder: Path, *more: str) -> str:
    result = CliRunner().invoke(study, [*ARGUMENTS, *more, "--output", str(folder)])
    assert result.exit_code != 0, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert not folder.exists()
    return result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seeds", "0"], "seeds"),
        (["--recipes", ""], "--recipes names nothing"),
        (["--selections", " , "], "--selections names nothing"),
        (["--recipes", "feature_only?nope=1"], "no parameter named 'nope'"),
        (["--recipes", "feature_only?feature_loss=nope"], "no loss named 'nope'"),
        (["--teacher-epochs", "0"], "teacher-epochs"),
        (["--teacher", "nowhere.safetensors"], "There is no file nowhere.safetensors"),
        (["--teacher", "retort:resnet9000"], "resnet9000"),
        (["--student", ""], "'' is no architecture"),
        (["--student", "retort:resnet8?width={}"], "is no architecture"),
        (["--student", "retort:resnet9000"], "resnet9000"),
        (["--student", "retort:resnet8?width=0"], "width"),
        (["--set", "seed=7"], "--seeds"),
        (["--set", "recipe=logit"], "--recipes"),
    ],
)
def test_what_cannot_work_is_refused_before_a_teacher_is_trained(tmp_path: Path, options: list[str], said: str) -> None:
    assert said in refused(tmp_path / "study", *options)


def test_a_recipe_named_twice_is_run_and_counted_once() -> None:
    assert parse_recipes("logit, cross_entropy,logit") == [("logit", {}), ("cross_entropy", {})]


def test_a_folder_that_another_study_works_in_is_left_alone(tmp_path: Path) -> None:
    with alone_in(tmp_path):
        result = CliRunner().invoke(study, [*ARGUMENTS, "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "Another process" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["study.lock"]
    with alone_in(tmp_path):
        pass


def test_the_paths_of_a_dataset(tmp_path: Path) -> None:
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert parse_dataset((str(odd),)).files == {"all": str(odd)}
    assert parse_dataset((f"train={odd}",)).files == {"train": str(odd)}
    for given in (("",), ("train=",), (f"train={odd}", "test=")):
        with pytest.raises(InvalidConfig, match="names no path"):
            parse_dataset(given)
    with pytest.raises(InvalidConfig, match="same role"):
        parse_dataset((f"train={odd}", f"train={tmp_path}"))
    with pytest.raises(InvalidConfig, match="There is no"):
        parse_dataset((f"train={odd}", f"test={tmp_path / 'nowhere'}"))
