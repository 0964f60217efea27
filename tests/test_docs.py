"""The documentation leads somewhere: its links, the pages that docstrings cite, and its worked example."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
CODE = [path for package in ("distill", "store", "api", "worker") for path in (ROOT / package).rglob("*.py")]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]+)?\)")
CITED = re.compile(r"docs/[\w/-]+\.md")


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    heads = re.findall(r"^#+ (.+)$", text, re.M)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).lower() for head in heads)
    return {"#" + re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in plain}


def links(page: Path) -> list[tuple[Path, str]]:
    """Files of the repository that a page links to, each with its anchor or ""."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    found = [match.groups(default="") for match in LINK.finditer(text)]
    return [((page.parent / name).resolve() if name else page, anchor) for name, anchor in found if "://" not in name]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = links(page)
    assert [str(target) for target, _ in targets if not target.exists()] == []
    assert [anchor for target, anchor in targets if anchor and anchor not in anchors(target)] == []


def test_every_page_that_code_cites_is_there() -> None:
    cited = {name for path in CODE for name in CITED.findall(path.read_text(encoding="utf-8"))}
    assert "docs/methods.md" in cited
    assert [name for name in cited if not (ROOT / name).exists()] == []


def test_every_page_is_in_the_index() -> None:
    listed = {target for target, _ in links(ROOT / "docs" / "README.md")}
    pages = {path for path in (ROOT / "docs").glob("*.md") if path.name != "README.md"}
    assert pages - listed == set()


def test_the_worked_example_is_a_loss() -> None:
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", text, re.S)
    module = ModuleType("cosine")
    exec(compile(source, "docs/extending.md", "exec"), module.__dict__)
    assert set(module.PARAMETERS) == {"power"}
    loss = module.ENTRY(power=2.0)
    student, teacher = torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    expected = (0 + (1 - 0.5**0.5) ** 2) / 2
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-6)
    assert loss(student, teacher, torch.tensor([True, False])).item() == pytest.approx(0, abs=1e-6)
