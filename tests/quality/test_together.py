"""Two processes score the curve that one scores, to the bit: they share forward passes and layers, not sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill import scoring_memory
from distill.errors import InvalidConfig
from distill.layers import discover
from distill.quality import score
from tests.recipes.nets import TinyCNN, images
from tests.training.test_distributed import run_two

# Sizes of the sample's batches, whether a layer is to take several passes, and whether no whole matrix is to fit.
CASES: dict[str, tuple[tuple[int, ...], bool, bool]] = {
    "three batches": ((7, 5, 3), False, False),
    "one batch, and a process without any": ((15,), False, False),
    "layers that take several passes": ((7, 5, 3), True, False),
    "strips": ((7, 5, 3), False, True),
    "strips of layers that take several passes": ((7, 5, 3), True, True),
}


def curve(sizes: tuple[int, ...], cut: bool, strips: bool) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        if strips:
            patch.setattr(scoring_memory, "whole_bytes", lambda *_: 2**60)
        return _curve(sizes, cut)


def _curve(sizes: tuple[int, ...], cut: bool) -> list[dict[str, Any]]:
    model, given = TinyCNN(8).eval(), [images(size, 16, seed) for seed, size in enumerate(sizes)]
    labels, layers = [i % 4 for i in range(sum(sizes))], discover(model, images(2))
    budget, passes = 1 if cut else 2**30, list[None]()

    def batches() -> list[Tensor]:
        passes.append(None)
        return given

    while True:
        try:
            passes.clear()
            how: Any = "blocks" if cut else "auto"
            found = score(model, layers, batches, labels, 1000, budget, bootstrap=8, oversize=how)
            told = [layer.to_dict() for layer in found]
            assert (len(passes) > len(layers)) == cut
            return told
        except InvalidConfig as refused:  # the smallest budget there is
            budget = refused.details["needed_bytes"]


TOGETHER = """
import sys
from pathlib import Path
import torch
from distill.training import distributed
from tests.quality.test_together import CASES, curve
torch.set_num_threads(1)
with distributed.group() as rank:
    torch.save({name: curve(*case) for name, case in CASES.items()}, Path(sys.argv[1]) / f"{rank}.pt")
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[dict[str, Any]]]]:
    folder: Path = tmp_path_factory.mktemp("together")
    run_two(TOGETHER, [str(folder)])
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_the_curve_is_that_of_one_process(case: str, together: list[dict[str, list[dict[str, Any]]]]) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    one = curve(*CASES[case])
    torch.set_num_threads(threads)
    assert len(one) > 2
    assert [rank[case] for rank in together] == [one, one]
