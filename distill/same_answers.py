"""Is an exported file the network that it was made of: compared on real samples, one and three at a time.

torch's ONNX converter has written files that were wrong for another batch than the example's, or dropped a
convolution's bias (pytorch#169178, #166797), without a word.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from distill.errors import RetortError
from distill.export import Graph, Runner
from distill.layers.forward import alone, batch_size, forward

TOGETHER = 3
ROUNDING = 1e-2
"""How far a format that rounds may answer for a sample alone from what it answers for it among others, relative to its
largest output (**our choice**): ranges are fixed, so that only the order of sums differs."""


class ExportDiffers(RetortError):
    """The file answers otherwise than the network that it was made of. The converter's fault: nothing is kept."""

    code = "export_differs"


@torch.no_grad()
def check(run: Runner, graph: Graph, real: Any, tolerance: float | None, title: str) -> None:
    """Compare the file's answers for three samples, together and each alone, with torch's; where `tolerance` is None
    those for each alone with those together. `real`: the graph's input of three samples. Raises `ExportDiffers`."""
    wanted = forward(graph.module, real)
    together = _answer(run, real, wanted, title)
    single = torch.cat([_answer(run, one, forward(graph.module, one), title) for one in alone(real)])
    reference, most = (together, ROUNDING) if tolerance is None else (wanted, tolerance)
    scale = max(1e-6, float(reference.abs().max()))
    for count, found in ((1, single), (TOGETHER, together)):
        far = graph.apart(found, reference)
        if far > most * scale:
            told = f"its largest difference is {far:.3g}, where outputs reach {scale:.3g}"
            raise _differs(title, count, told, {"largest_difference": far, "largest_output": scale})


@torch.no_grad()
def difference_on(run: Runner, graph: Graph, batches: Iterable[Any], title: str) -> dict[str, float | int]:
    """The largest difference (`graph.apart`) of an output from torch's, over samples as the network is shown them; how
    many there were; and the largest output of torch's. Raises `ExportDiffers` where the file has no finite answer."""
    far, scale, count = 0.0, 0.0, 0
    for batch in batches:
        given = graph.encode(batch)
        wanted = forward(graph.module, given)
        far = max(far, graph.apart(_answer(run, given, wanted, title), wanted))
        scale, count = max(scale, float(wanted.abs().max())), count + (batch_size(batch) or 0)
    return {"value": far, "n": count, "largest_output": scale}


def _answer(run: Runner, given: Any, like: Tensor, title: str) -> Tensor:
    try:
        found = run(given).float()
    except Exception as error:  # a runtime's own errors, of whichever runtime
        raise _differs(title, batch_size(given) or 0, f"its runtime says: {str(error).strip()[:300]}", {}) from error
    if found.shape != like.shape or not found.isfinite().all():
        shapes = f"{list(found.shape)} instead of {list(like.shape)}"
        raise _differs(title, batch_size(given) or 0, f"it gives {shapes}, or no finite numbers", {})
    return found


def _differs(title: str, count: int, why: str, details: dict[str, float]) -> ExportDiffers:
    return ExportDiffers(
        f"The {title} file is not the student: for {count} sample{'s' if count > 1 else ''} at a time {why}. "
        "It was not kept.",
        "Ask for another format; the converter has a fault with this architecture.",
        {"format": title, "samples": count} | details,
    )
