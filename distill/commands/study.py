"""`retort study`: run a grid of recipes, selections and seeds and write one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from distill import recipes, selection
from distill.commands.failure import Failed
from distill.data.rows import FORMS
from distill.errors import InvalidConfig, RetortError
from distill.modalities.images.shards.addresses import is_address
from distill.modalities.images.shards.listing import ENDING, names_shards
from distill.parameters import check as check_parameters
from distill.types import Architecture, DatasetInput, DistillConfig

# Settings that each cell sets for itself, and the options that say to what.
VARIED = {"recipe": "--recipes", "recipe_parameters": "--recipes", "selection": "--selections", "seed": "--seeds"}


@click.command()
@click.option(
    "--dataset", "datasets", multiple=True, required=True, help="A named set, a path, or role=path (train, test)."
)
@click.option("--teacher", required=True, help="A safetensors file, or an architecture that is trained first.")
@click.option("--teacher-architecture", help="Of a file whose header does not name it.")
@click.option(
    "--teacher-epochs", type=click.IntRange(min=1), help="Epochs of a teacher that is trained first; default: --epochs."
)
@click.option("--student", required=True, help="Architecture, e.g. retort:resnet8?width=8.")
@click.option(
    "--recipes", "recipe_list", default="all", show_default=True, help="Comma list or all; name?key=value+key=value."
)
@click.option("--selections", default="auto", show_default=True, help="Comma list of selection rules, or all.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="How many: 0, 1, ...")
@click.option("--epochs", default=50, show_default=True)
@click.option("--set", "settings", multiple=True, help="Any field of the configuration: name=value (JSON or text).")
@click.option("--output", type=click.Path(path_type=Path), default=Path("study"), show_default=True)
def study(  # noqa: PLR0913 - click: one each option
    datasets: tuple[str, ...], teacher: str, teacher_architecture: str | None, teacher_epochs: int | None, student: str,
    recipe_list: str, selections: str, seeds: int, epochs: int, settings: tuple[str, ...], output: Path,
) -> None:  # fmt: skip
    """Train every recipe with every selection of layers and every seed; write study.md and study.json.

    Interrupt it whenever you like: the same command skips what is finished and continues what is not.

    With --file FILE it searches instead as POST /studies does, for every task, on a service or without one: see
    `retort study --file FILE --help`.
    """
    try:
        config = _config(epochs, settings)
        dataset = parse_dataset(datasets)
        variants = parse_recipes(recipe_list)
        rules = _names(selections, tuple(n for n in selection.names() if n not in ("auto", "explicit")), "--selections")
        for rule in rules:
            selection.registry.check(rule)
        given = _Given(dataset, parse_architecture(student), variants, rules, tuple(range(seeds)), config)
        _run(given, teacher, teacher_architecture, teacher_epochs or epochs, output)
    except RetortError as error:
        raise Failed(error) from error


class _Given:
    def __init__(
        self, dataset: DatasetInput, student: Architecture, variants: list[tuple[str, dict[str, Any]]],
        rules: tuple[str, ...], seeds: tuple[int, ...], config: DistillConfig,
    ) -> None:  # fmt: skip
        self.dataset, self.student, self.variants = dataset, student, variants
        self.rules, self.seeds, self.config = rules, seeds, config


def _run(given: _Given, teacher: str, named: str | None, teacher_epochs: int, output: Path) -> None:
    from distill.modalities.images import open_dataset
    from distill.studying.lock import alone_in

    opened = open_dataset(given.dataset)
    _check(given, teacher, len(opened.classes))
    # With the digest of what is in the files now: what was finished on other contents does not count.
    given.dataset = given.dataset.model_copy(update={"digest": opened.digest})
    with alone_in(output):
        _train(given, teacher, named, teacher_epochs, output, len(opened.classes))


def _check(given: _Given, teacher: str, classes: int) -> None:
    """Raise for a wrong name or option of a network: it must cost neither a folder nor a teacher's training."""
    from distill.models.build import skeleton

    skeleton(given.student, classes)
    path = Path(teacher)
    if path.suffix == ".safetensors" and not path.is_file():
        raise InvalidConfig(f"There is no file {path}.", "Give a safetensors file that exists, or an architecture.")
    if not path.is_file():
        skeleton(parse_architecture(teacher), classes)


def _train(given: _Given, teacher: str, named: str | None, teacher_epochs: int, output: Path, classes: int) -> None:
    from distill.studying.grid import Study, Variant, run_study

    taught = _teacher(given, teacher, named, teacher_epochs, output, classes)
    planned = Study(
        dataset=given.dataset, teacher=taught, student=given.student, selections=given.rules, seeds=given.seeds,
        variants=tuple(Variant(name, tuple(parameters.items())) for name, parameters in given.variants),
        config=given.config,
    )  # fmt: skip
    outcomes = run_study(planned, output, click.echo)
    write(output, given, taught.architecture, outcomes)
    click.echo(f"Written: {output / 'study.md'}, {output / 'study.json'}")


def _teacher(given: _Given, teacher: str, named: str | None, epochs: int, output: Path, classes: int) -> Any:
    from distill.safetensors_header import read_header
    from distill.studying.grid import teacher_of, train_teacher

    path = Path(teacher)
    if path.is_file():
        header = read_header(path).metadata
        architecture = parse_architecture(named) if named else said_by(header, path, "--teacher-architecture")
    else:
        architecture = parse_architecture(teacher)
        config = given.config.model_copy(update={"epochs": epochs, "max_steps": None})
        click.echo(f"Training the teacher {architecture.name} for {epochs} epochs.")
        path = train_teacher(given.dataset, architecture, config, output)
    return teacher_of(path, architecture, classes)


def write(output: Path, given: _Given, teacher: Architecture, outcomes: list[dict[str, Any]]) -> None:
    """study.md and study.json."""
    from distill.studying.table import markdown, rows

    done = next((outcome for outcome in outcomes if outcome["status"] == "finished"), None)
    about: dict[str, Any] = {
        "title": f"{teacher.name} to {given.student.name} on {given.dataset.name}",
        "facts": {
            "teacher": _described(teacher) + (f", {100 * done['teacher_accuracy']:.2f} %" if done else ""),
            "student": _described(given.student),
            "steps": done["steps"] if done else "-",
            "configuration": json.dumps(given.config.model_dump(exclude_defaults=True)),
            "machine": json.dumps(done["environment"]) if done else "-",
        },
    }
    table = rows(outcomes)
    output.mkdir(parents=True, exist_ok=True)
    (output / "study.md").write_text(markdown(table, about, outcomes), encoding="utf-8")
    content = {"schema": 1, **about, "config": given.config.model_dump(), "table": table, "runs": outcomes}
    (output / "study.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


def _described(architecture: Architecture) -> str:
    options = ",".join(f"{key}={value}" for key, value in architecture.options.items())
    return architecture.name + (f"?{options}" if options else "")


def _config(epochs: int, settings: tuple[str, ...]) -> DistillConfig:
    fields = dict(_pair(text) for text in settings)
    varied = next((name for name in fields if name in VARIED), None)
    if varied:
        raise InvalidConfig(f"A study varies {varied!r} itself.", f"Leave it out of --set, and give {VARIED[varied]}.")
    unknown = sorted(set(fields) - set(DistillConfig.model_fields))
    if unknown:
        raise InvalidConfig(f"There is no setting {unknown[0]!r}.", f"Known: {', '.join(DistillConfig.model_fields)}.")
    try:
        return DistillConfig(**({"epochs": epochs} | fields))
    except ValueError as error:
        raise InvalidConfig(f"The settings cannot be used: {error}", "Correct --set.") from error


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidConfig(f"{text!r} is no name=value.", "Write for example batch_size=64.")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _names(text: str, every: tuple[str, ...], option: str) -> tuple[str, ...]:
    """The names of a comma list, each once: a row counts every run of its name, so a second would count runs twice."""
    names = every if text == "all" else tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise InvalidConfig(f"{option} names nothing.", f"Name at least one of {', '.join(every)}.")
    return names


def parse_recipes(text: str) -> list[tuple[str, dict[str, Any]]]:
    """`feature_only,feature_only?feature_loss=gram+grid=1` -> names with parameters, which are checked."""
    found = []
    for item in _names(text, recipes.names(), "--recipes"):
        name, _, given = item.partition("?")
        parameters = dict(_pair(part) for part in given.split("+")) if given else {}
        check_parameters(recipes.registry.parameters(name), parameters)
        found.append((name, parameters))
    return found


def parse_architecture(text: str) -> Architecture:
    """`retort:resnet8?width=8,...` -> name and options. Raises `InvalidConfig`."""
    name, _, options = text.partition("?")
    given = dict(_pair(part) for part in options.split(",")) if options else {}
    try:
        return Architecture(name=name, options=given)
    except ValueError as error:
        raise InvalidConfig(f"{text!r} is no architecture.", "Write for example retort:resnet8?width=8.") from error


def said_by(header: Mapping[str, str], path: Path, option: str) -> Architecture:
    """The architecture that a checkpoint's header names. Raises `InvalidConfig` where it names none."""
    if "architecture" not in header:
        raise InvalidConfig(f"{path.name} does not say what it is.", f"Give {option}.")
    try:
        return Architecture.model_validate_json(header["architecture"])
    except ValueError as error:
        why = f"{path.name} says what it is in a form that Retort's exporter does not write."
        raise InvalidConfig(why, f"Give {option}.") from error


def parse_dataset(given: tuple[str, ...]) -> DatasetInput:
    """A named set, one path with everything, or `train=path` and `test=path`; what names shards is a path too."""
    if len(given) == 1 and not ("=" in given[0] or Path(given[0]).exists() or names_shards(given[0])):
        return DatasetInput(kind="named", name=given[0])
    roles = [_role(item) for item in given]
    if len({role for role, _ in roles}) < len(roles):
        raise InvalidConfig("--dataset gives two paths the same role.", "Give one path, or train=path and test=path.")
    if any(names_shards(path) for _, path in roles):
        return _shards(roles)
    for _, path in roles:
        if not Path(path).exists():
            raise InvalidConfig(f"There is no {path}.", "Give a named set or a path that exists.")
    first = Path(roles[0][1])
    named = first.resolve().parent.name if first.stem in ("train", "all") else first.stem  # cifar10/train.parquet
    return DatasetInput(kind=_kind(first), name=named, files=dict(roles))


def _shards(roles: Sequence[tuple[str, str]]) -> DatasetInput:
    """By braces, a list, a folder, or the index that `retort shards` wrote; called as its folder is."""
    first = Path(roles[0][1])
    if first.suffix == ENDING:
        return DatasetInput(kind="shards", name=first.stem, files={"index": str(first)})
    given = roles[0][1]
    whole = first.is_dir() or (is_address(given) and given.endswith("/"))
    name = first.resolve().name if whole else first.parent.name
    return DatasetInput(kind="shards", name=name or "shards", files=dict(roles))


def _role(item: str) -> tuple[str, str]:
    """Role and path; what exists is a path, with or without a `=` in its name."""
    role, equals, path = item.partition("=")
    if not equals or Path(item).exists() or is_address(item):
        role, path = "all", item
    if not path:
        # An unset variable of the shell: the empty path would be the current folder.
        raise InvalidConfig(f"--dataset {item!r} names no path.", "Give a named set or a path that exists.")
    return role, path


def _kind(path: Path) -> Literal["archive", "parquet", "table", "folder"]:
    if path.suffix == ".parquet" or (path.is_dir() and any(path.glob("*.parquet"))):
        return "parquet"
    if Path(path.name.lower().removesuffix(".gz")).suffix in FORMS:
        return "table"
    return "folder" if path.is_dir() else "archive"
