"""`python tests/fuzz/pickles.py -max_total_time=60`: the pickle machine alone, which the fuzzer reaches faster."""

from __future__ import annotations

import io

from harness import fuzz

from tests.converter.pickles import dump, tensor
from worker.converter import ConverterLimits
from worker.converter.pickle_scan import scan
from worker.converter.pickle_values import make_storage
from worker.converter.state_dict import find

LIMITS = ConverterLimits(operations=100_000, memo=10_000, pickle_bytes=2**20)
VALUES = [{"w": tensor()}, {"model": {"w": tensor(function="_rebuild_tensor")}, "x": [1, 2.5, None, (True, "a")]}]


def read(data: bytes) -> object:
    value = scan(io.BytesIO(data), LIMITS, lambda identifier: make_storage(identifier, {}, legacy=False))
    return find(value, LIMITS, 10_000)


if __name__ == "__main__":
    fuzz(read, [dump(value) for value in VALUES])
