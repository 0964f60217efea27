"""The API's image lacks parts of its libraries: everything that it runs does without them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = """
import importlib, pkgutil, sys
from fnmatch import fnmatch
from importlib.abc import MetaPathFinder

class Missing(MetaPathFinder):
    def find_spec(self, fullname, path, target=None):
        file = fullname.replace(".", "/")
        if any(fnmatch(name, pattern) for pattern in sys.argv[1:] for name in (file, f"{file}.")):
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)

sys.meta_path.insert(0, Missing())
for root in ("api", "store", "client"):
    package = importlib.import_module(root)
    for module in pkgutil.walk_packages(package.__path__, f"{root}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
import alembic.command, celery.app.amqp, kombu.transport.redis, psycopg, uvicorn.loops.auto, uvicorn.lifespan.on
import uvicorn.protocols.http.httptools_impl, uvloop
from distill.curve import to_png, to_svg
from distill.types import LayerQuality, QCurve
layers = tuple(LayerQuality(f"layer{i}", i, (i + 1) / 3, "block", (8, 4, 4), *[0.5 + i] * 8) for i in range(3))
curve = QCurve(layers, 3, 100, 10, 1000, 0, chosen=(1,), rule="auto")
assert to_png(curve)[:4] == bytes((0x89, 0x50, 0x4E, 0x47)) and "layer1" in to_svg(curve)
from rich.console import Console
Console().print("[bold]drawn[/]")
"""


def test_nothing_that_is_left_out_of_the_image_is_used() -> None:
    left_out = re.search(r"site-packages && rm -rf \\\n((?: .*\n)+)", (ROOT / "Dockerfile").read_text())
    assert left_out is not None
    patterns = left_out[1].replace("\\", " ").split()
    assert len(patterns) > 10
    assert missing(patterns[0], patterns).returncode == 1, "the import hook does its work"
    done = subprocess.run([sys.executable, "-c", WITHOUT, *patterns], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "drawn" in done.stdout


def missing(path: str, patterns: list[str]) -> subprocess.CompletedProcess[str]:
    code = f"{WITHOUT.split('for root')[0]}\nimport {path.replace('/', '.')}"
    return subprocess.run([sys.executable, "-c", code, *patterns], capture_output=True, text=True)
