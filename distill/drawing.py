"""Figures drawn by matplotlib, which is imported when one is asked for. No pyplot: a figure of our own, drawn and
dropped."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

_STYLE = threading.Lock()  # matplotlib's settings belong to the process: one picture at a time, then put back


def figure(width: float, height: float, fitted: bool = True) -> Any:
    """An empty figure of that many inches, of no window. `fitted`: its parts find room by themselves, for which it is
    drawn twice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained" if fitted else None)
    FigureCanvasAgg(made)
    return made


def save(make: Callable[[], Any], target: Any, **options: Any) -> None:
    """Write the figure that `make` makes; the same figure gives the same bytes."""
    import matplotlib

    style = {"svg.fonttype": "none", "svg.hashsalt": "retort", "font.family": "DejaVu Sans", "font.size": 9}
    with _STYLE, matplotlib.rc_context(style):
        make().savefig(target, facecolor="white", **options)


def svg(make: Callable[[], Any], title: str) -> str:
    """The figure as a scalable picture of that title, text as text; the same figure gives the same bytes."""
    buffer = io.StringIO()
    save(make, buffer, format="svg", metadata={"Date": None, "Title": title})
    return buffer.getvalue()


def png(make: Callable[[], Any], dpi: int) -> bytes:
    """The figure as a picture of `dpi` pixels an inch."""
    buffer = io.BytesIO()
    save(make, buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def literal(text: str) -> str:
    """A name as text, not as mathematics: matplotlib would read what stands between two dollar signs."""
    return text.replace("$", r"\$")
