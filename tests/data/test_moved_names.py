"""Import paths of before images and texts had folders of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOVED = """
from distill.data import inspect, open_dataset
from distill.data.text.opening import open_raw_text
from distill.data.text.recognise import recognised
import distill.modalities.images as images
from distill.modalities.text import opening, recognise
assert (inspect, open_dataset) == (images.inspect, images.open_dataset)
assert (open_raw_text, recognised) == (opening.open_raw_text, recognise.recognised)
"""


def test_names_that_scripts_import_lead_to_where_they_are() -> None:
    subprocess.run([sys.executable, "-c", MOVED], check=True)


def test_other_names_are_not_there() -> None:
    with pytest.raises(ImportError):
        from distill.data import nothing  # type: ignore[attr-defined]  # noqa: F401
