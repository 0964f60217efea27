"""The report of a run: report.json and the same in words. docs/training.md describes every field."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from distill.choice_table import choice_table
from distill.exports_table import exports_table
from distill.likeness import shown

SCHEMA = 1
LIBRARIES = ("torch", "torchvision", "timm", "numpy", "safetensors", "transformers", "tokenizers")
Report = dict[str, Any]


def environment(device: torch.device, precision: str) -> dict[str, Any]:
    """Library versions, device, dtype, threads: what is needed to judge or repeat the numbers."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": str(device),
        "device_name": name,
        "dtype": precision,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "libraries": {library: _version(library) for library in LIBRARIES} | {"retort": _version("retort")},
    }


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def markdown(report: Report, sections: Sequence[str] = ()) -> str:
    """The report for people; `sections`: further ones, which the task brings."""
    parts = [
        f"# {report['title']}",
        _warnings(report),
        report["verdict"]["text"],
        _table(report),
        _differences(report),
        _against_teacher(report),
        _choice(report),
        _layers(report),
        _training(report),
        *sections,
        _exports(report),
        _per_class(report),
        _configuration(report),
        _provenance(report),
        "\n".join(f"* {note}" for note in report["notes"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _warnings(report: Report) -> str:
    return "\n\n".join(f"> **Warning.** {each['message']} {each['remedy']}" for each in report.get("warnings", []))


def _exports(report: Report) -> str:
    return f"## Exports\n\n{exports_table(report['exports'])}" if report.get("exports") else ""


def _choice(report: Report) -> str:
    return f"## How the recipe was chosen\n\n{choice_table(report['choice'])}" if report.get("choice") else ""


def _columns(report: Report) -> dict[str, Report]:
    own = {name: report[name] for name in ("teacher", "student", "comparison") if report[name]}
    beside: dict[str, Report] = report.get("companions", {})
    return _members(report) | own | beside


def _members(report: Report) -> dict[str, Report]:
    """The teachers of a set one by one; the column `teacher` is of their mean logits."""
    members = report.get("teachers", [])
    return {each["label"]: each for each in members} if len(members) > 1 else {}


def _table(report: Report) -> str:
    columns = _columns(report)
    rows: list[tuple[str, Callable[[Report], str]]] = [
        ("architecture", lambda c: c["architecture"]["name"]),
        ("recipe", lambda c: c.get("recipe", "")),
        *((_titled(metric), partial(_figure, metric=metric)) for metric in report["metrics"]),
        ("parameters", lambda c: f"{c['parameters']:,}"),
        ("FLOPs (multiply-add = 2)", lambda c: f"{c['flops']:,}"),
        ("size on disk, bytes", lambda c: f"{c['bytes']:,}"),
        ("latency, batch 1, ms", lambda c: f"{c['latency']['median_ms']:.2f} (n = {c['latency']['n']})"),
    ]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for title, cell in rows:
        cells = [cell(column) for column in columns.values()]
        if any(cells):
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    latency = report["student"]["latency"]
    note = f"Latency: median, {latency['threads']} threads, {latency['device']}, {latency['dtype']}."
    intervals = report.get("intervals", "Wilson intervals")
    return "\n".join(lines) + f"\n\nIntervals are 95 % {intervals} on the untouched test set. " + note


def in_per_cent(share: Mapping[str, Any]) -> str:
    """ "91.20 % (90.60 to 91.70, n = 10000)"."""
    return _share(share)


def _titled(metric: Mapping[str, Any]) -> str:
    return f"test {metric['label']}" if metric["unit"] in ("share", "nats") else str(metric["label"])


def _figure(column: Report, metric: Mapping[str, Any]) -> str:
    """A metric's cell; empty where the network has no such figure."""
    found = _at(column, metric.get("path", metric["name"]))
    if found is None:
        return ""
    if metric["unit"] == "share":
        return _share(found) if isinstance(found, Mapping) else f"{100 * found:.2f} %"
    count = f" (n = {found['n']})" if isinstance(found, Mapping) and "n" in found else ""
    value = found["value"] if isinstance(found, Mapping) else found
    note = re.sub(r"{(.*?)}", lambda path: str(_at(column, path[1])), metric.get("note", ""))
    return f"{value:{_FORMATS[metric['unit']]}}{count}" + (f" ({note})" if note else "")


def _at(column: Report, path: str) -> Any:
    """What a column holds at `path`, keys joined by `/`; None where it has no such thing."""
    found: Any = column
    for key in path.split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


_FORMATS = {"nats": ".4f", "ratio": ".3f", "per_second": ".0f", "number": ".4f"}


def _share(share: Mapping[str, Any] | None) -> str:
    if not share:
        return ""
    value, low, high = (f"{100 * share[key]:.2f}" for key in ("value", "low", "high"))
    return f"{value} % ({low} to {high}, n = {share['n']})"


def _against_teacher(report: Report) -> str:
    if not report["against_teacher"]:
        return ""
    gap = report["against_teacher"]
    ratio = _ratio(report["teacher"]["parameters"], report["student"]["parameters"])
    return (
        f"Against its teacher: {100 * gap['value']:+.2f} points (95 % interval {100 * gap['low']:+.2f} to "
        f"{100 * gap['high']:+.2f}) with {ratio} parameters."
    )


def _differences(report: Report) -> str:
    """What the comparison does not have in common with this run."""
    found = report["verdict"].get("differences")
    if not found:
        return ""
    lines = [f"| {each['field']} | {_cell(shown(each['ours']))} | {_cell(shown(each['theirs']))} |" for each in found]
    title = ["## How the comparison differs", "", "| setting | this student | comparison |", "|---|---|---|"]
    return "\n".join([*title, *lines])


def _ratio(teacher: int, student: int) -> str:
    larger, smaller = max(teacher, student), max(1, min(teacher, student))
    factor = f"{larger / smaller:.1f}"
    return "as many" if factor == "1.0" else f"{factor} times {'fewer' if student < teacher else 'more'}"


def _layers(report: Report) -> str:
    members = _members(report) or {"Teacher": report}
    return "\n\n".join(_pairs(name, each) for name, each in members.items() if each["selection"])


def _pairs(name: str, one: Report) -> str:
    """Of one teacher: its part of the report, or the report."""
    selection = one["selection"]
    pairs = zip(selection["teacher_layers"], selection["student_layers"], strict=True)
    lines = [f"* `{teacher}` -> `{student}`" for teacher, student in pairs]
    read = ["", one["q_curve"]["reading"]] if one.get("q_curve") else []
    return "\n".join([f"## Layers, by `{selection['rule']}`", "", f"{name} -> student:", "", *lines, *read])


def _training(report: Report) -> str:
    training, data = report["training"], report["dataset"]
    primary, value = training.get("validation_metric") or report["metrics"][0], training["validation"]
    validation = "not measured" if value is None else _figure({primary["name"]: value}, primary)
    return (
        f"## Training\n\n{training['ending'].capitalize()} after {training['steps']} steps, "
        f"{training['seconds']:.0f} s, {training['images_per_second']:.0f} samples/s. Validation "
        f"{primary['label']} of this student {validation} on {data['validation']} samples held out of training. "
        f"Trained on {data['train']} samples of {data['name']}, tested once on {data['test']}. "
        f"Seeds: {', '.join(map(str, report['seeds']))}."
        f"{_head(training.get('head'))}"
    )


def _head(head: dict[str, Any] | None) -> str:
    if not head or not head["fitted"]:
        return ""
    before, after = (f"{100 * head[f'accuracy_{when}']:.2f} %" for when in ("before", "after"))
    return (
        f" After training the classifier was fitted anew on {head['samples']:,} training samples' features "
        f"(validation accuracy {before} -> {after})."
    )


def _per_class(report: Report) -> str:
    columns = _columns(report)
    names = list(report["student"].get("per_class", {}))
    if not 0 < len(names) <= 100:
        return ""
    label = report.get("per_class") or report["metrics"][0]["label"]
    lines = [
        f"## {label[:1].upper()}{label[1:]} by class",
        "",
        f"| class | {report.get('counted', 'n')} | " + " | ".join(columns) + " |",
    ]
    lines.append("|---" * (len(columns) + 2) + "|")
    for name in names:
        values = [column.get("per_class", {}).get(name, {}).get("value") for column in columns.values()]
        cells = ["" if value is None else f"{100 * value:.1f} %" for value in values]
        lines.append(f"| {_cell(name)} | {report['student']['per_class'][name]['n']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _configuration(report: Report) -> str:
    lines = ["## Configuration", "", "| setting | value | reason |", "|---|---|---|"]
    reasons = dict(report["reasons"])
    for key, value in sorted(report["configuration"].items()):
        lines.append(f"| {key} | {_cell(value)} | {_cell(reasons.pop(key, ''))} |")
    lines += [f"| {key} | | {_cell(why)} |" for key, why in sorted(reasons.items())]
    return "\n".join(lines)


def _provenance(report: Report) -> str:
    place = report["environment"]
    versions = ", ".join(f"{name} {number}" for name, number in place["libraries"].items())
    lines = [f"* {name}: `{digest}`" for name, digest in report["digests"].items() if digest]
    machine = f"{place['device']} ({place['device_name']}), {place['dtype']}, {place['threads']} threads"
    return "\n".join(["## Provenance", "", *lines, f"* {machine}, Python {place['python']}, {versions}"])


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
