"""A budget's candidates, counted and timed as a worker would, for every task."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from distill import tasks
from distill.errors import UnknownName
from distill.models.language import make_student
from distill.models.language.config import plain
from distill.models.listing import catalogue
from distill.models.names import family
from distill.pruned import Pruning
from distill.search import sizing
from distill.student_budget import StudentBudget
from distill.tasks import chains_counted, networks
from distill.tasks.budget_question import question
from distill.tasks.candidates import Chain
from distill.tasks.counting import count
from distill.tasks.forecast import Parts, forecast
from distill.types import Architecture, DistillConfig
from tests.language import tiny

PICTURES = {
    "classes": ["a", "b"], "counts": {"train": [50, 50], "test": [5, 5]}, "modes": {"grey": 0, "colour": 110},
    "heights": [64, 64, 64], "widths": [64, 64, 64],
}  # fmt: skip
TEXTS = {"classes": ["a", "b"], "counts": {"train": [50, 50], "test": [5, 5]}, "mean_words": 5, "words_99": 9}
OURS = [entry for entry in catalogue() if entry["name"].startswith("retort:")]
TASKS = [spec.name for spec in tasks.specs()]


def parts(task: str) -> Parts:
    config, student = DistillConfig.model_validate({"recipe": "feature_only"}), Architecture(name="retort:resnet8")
    if tasks.spec(task).modality == "images":
        return Parts(config, student, PICTURES)
    network = tiny.network("gpt2", "generate" if task == "generate_text" else "classify")
    own = {"family": "gpt2", "layers": 3, "width": 16, "heads": 2, "config": plain(network.config), "num_classes": 2}
    return Parts(config, student, TEXTS, (own | {"label": "t"},))


def few(chains: list[Chain]) -> list[Chain]:
    """Two members of the first, neither too narrow for its normalisation: a test counts no hundred networks."""
    middle = min(10, len(chains[0].members) - 2)
    return [Chain(chains[0].family, chains[0].members[middle : middle + 2])]


@pytest.mark.parametrize("task", TASKS)
def test_candidates_grow_along_their_chain_and_are_counted_as_the_task_has_them(task: str) -> None:
    rules, about = forecast(task), parts(task)
    chains = few(rules.students(about, OURS, None))
    budget = StudentBudget(parameters=10**9, latency_ms=1e6)
    asked = question(rules, about, chains, budget)
    answer = networks.measure(asked)
    known = sizing.candidates(chains, answer, budget)
    assert len(known) == sum(len(chain.members) for chain in chains), answer
    for number, chain in enumerate(chains):
        found = [each for each in known if each.chain == number]
        assert [each.architecture for each in found] == list(chain.members)
        sizes = [each.figures["parameters"] for each in found]
        assert sizes == sorted(set(sizes))
        assert all(each.figures["latency_ms"] > 0 for each in found)
    # Each is asked as an estimate asks for it, so that the figures are those of a job with this student.
    alone = rules.questions(Parts(about.config, known[0].architecture, about.dataset, about.teachers))["student"]
    assert networks.measure(alone)["parameters"] == known[0].figures["parameters"]


@pytest.mark.parametrize(("family", "widths"), [("gpt2", {}), ("qwen2", {"num_key_value_heads": 2})])
def test_a_language_model_is_cut_into_candidates(family: str, widths: dict[str, int]) -> None:
    """By depth, hidden units and where it can be heads: each starts from the teacher's weights."""
    network = tiny.network(family, "generate", width=32, heads=4, **widths)
    own = {"family": family, "layers": 3, "width": 32, "heads": 4, "config": plain(network.config), "num_classes": 0}
    config = DistillConfig.model_validate({"recipe": "logit"})
    about = Parts(config, Architecture(name="transformers:auto"), TEXTS, (own | {"label": "t"},))
    rules, budget = forecast("generate_text"), StudentBudget(bytes=10**9)
    chains = rules.students(about, [], ["pruned"])
    assert [chain.family for chain in chains] == ["pruned"] * 3
    heads = [[2, 2, 4, 4], [2, 2, 4, 4], [2, 2, 4]] if widths else [[None] * 4, [None] * 4, [None] * 3]
    assert [[each.options.get("heads") for each in chain.members] for chain in chains] == heads
    known = sizing.candidates(chains, networks.measure(question(rules, about, chains, budget)), budget)
    for each in known:
        made = make_student(each.architecture, network, "generate")
        assert made.architecture.options["initialise"] == "teacher"
        assert each.figures["parameters"] == sum(parameter.numel() for parameter in made.network.parameters())
    assert len(known) == sum(len(chain.members) for chain in chains)


@pytest.mark.parametrize(("family", "widths"), [("gpt2", {}), ("qwen2", {"num_key_value_heads": 2})])
@pytest.mark.parametrize("how", [{"ratio": 0.5}, {"blocks": 0.5}, {"ratio": 0.7, "blocks": 0.4, "round_to": 2}])
def test_a_language_model_that_is_pruned_starts_from_its_teacher(
    family: str, widths: dict[str, int], how: dict[str, Any]
) -> None:
    network = tiny.network(family, "generate", width=32, heads=4, **widths)
    own = {"family": family, "layers": 3, "width": 32, "heads": 4, "config": plain(network.config), "num_classes": 0}
    found = forecast("generate_text").pruned(own, Architecture(name="transformers:auto"), Pruning(**how))
    made = make_student(found, network, "generate")
    assert made.architecture.options["initialise"] == "teacher"
    assert sum(p.numel() for p in made.network.parameters()) < sum(p.numel() for p in network.parameters())


def test_a_chain_ends_behind_twice_a_limit() -> None:
    rules, about = forecast("classify_images"), parts("classify_images")
    chains = rules.students(about, OURS, ["retort:resnet8"])
    budget = StudentBudget(parameters=3000)
    known = sizing.candidates(chains, networks.measure(question(rules, about, chains, budget)), budget)
    sizes = [each.figures["parameters"] for each in known]
    assert sizes[-2] <= 6000 < sizes[-1]
    assert [each.figures["parameters"] <= 3000 for each in known] == [each.fits(budget.limits()) for each in known]


def test_families_are_named_by_library_or_one_by_one() -> None:
    named_so = ("timm:resnet18", "timm:resnet34", "torchvision:mobilenet_v3_small", "torchvision:vgg11")
    entries = OURS + [{"name": name, "library": name.partition(":")[0], "family": family(name)} for name in named_so]
    rules, about = forecast("classify_images"), parts("classify_images")
    named = rules.students(about, entries, ["retort:vgg", "timm:resnet18", "torchvision:mobilenetv3"])
    assert {chain.family for chain in named} == {"retort:vgg", "timm:resnet", "torchvision:mobilenetv3"}
    assert [chain.members[0].name for chain in named if chain.family == "timm:resnet"] == ["timm:resnet18"]
    with pytest.raises(UnknownName) as refused:
        rules.students(about, entries, ["retort:vgg", "timm:resnut18"])
    assert refused.value.details["number"] == 1
    assert "timm:resnet18" in refused.value.details["close"]


def test_a_language_model_shrinks_within_its_own_family() -> None:
    rules, about = forecast("classify_text"), parts("classify_text")
    chains = rules.students(about, [], ["transformers:auto"])
    sizes: list[Any] = [tuple(each.options.values()) for chain in chains for each in chain.members]
    assert sizes == [(layers, width) for layers in (1, 2, 3) for width in (8, 16) if (layers, width) != (3, 16)]
    with pytest.raises(UnknownName):
        rules.students(about, [], ["transformers:bert"])


def test_another_budget_asks_only_for_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    rules, about = forecast("classify_images"), parts("classify_images")
    chains = rules.students(about, OURS, ["retort:resnet8"])
    counted: list[int] = []

    def counting(asked: dict[str, Any]) -> dict[str, Any]:
        counted.append(asked["architecture"]["options"]["width"])
        return dict.fromkeys(chains_counted.KEPT, 1000 * counted[-1] ** 2)

    def answer(most: int, known: dict[int, Any], **more: Any) -> dict[str, Any]:
        asked = question(rules, about, chains, StudentBudget(parameters=most, **more))
        build = lambda _: (torch.nn.Identity(), torch.zeros(1))  # noqa: E731
        return count({**asked, "known": [known]}, counting, build)

    small = answer(10_000, {})
    assert counted == [1, 2, 3, 4, 5]  # 25,000 is the first beyond twice 10,000
    known = chains_counted.remembered(small["chains"][0], {})
    counted.clear()
    large = answer(40_000, known)
    assert counted == [6, 7, 8, 10]
    assert large["chains"] == answer(40_000, {})["chains"]
    wider = chains_counted.remembered(large["chains"][0], known)
    for most in (5_000, 10_000, 40_000):
        asked = question(rules, about, chains, StudentBudget(parameters=most))
        assert chains_counted.from_known(asked, [wider]) == answer(most, {})
    assert chains_counted.from_known(question(rules, about, chains, StudentBudget(parameters=90_000)), [wider]) is None
    timed = question(rules, about, chains, StudentBudget(parameters=10_000, latency_ms=1e6))
    assert chains_counted.from_known(timed, [wider]) is None
    measured = answer(10_000, wider, latency_ms=1e6)["chains"][0]
    assert [each["place"] for each in measured if "latency_ms" in each] == [0, 1, 2, 3]
    assert not [each for each in chains_counted.remembered(measured, {}).values() if "latency_ms" in each]
