"""The picture of docs/findings.md says what its sources say."""

from __future__ import annotations

import re

import pytest

from benchmarks.gains import ARMS, TABLE, Gain, read
from tests.test_docs import ROOT

GAINS = read(ROOT / TABLE)


@pytest.mark.parametrize("gain", GAINS, ids=lambda gain: f"{gain.setting}: {gain.student}")
def test_each_gain_is_in_its_source(gain: Gain) -> None:
    assert gain.cited in (ROOT / gain.source).read_text(encoding="utf-8")
    told = [float(number) for number in re.findall(r"[+-]?\d+\.\d+", gain.cited)]
    assert told == [gain.gain, *([] if gain.deviation is None else [gain.deviation])]
    assert gain.arm in ARMS
    assert gain.seeds >= 3
