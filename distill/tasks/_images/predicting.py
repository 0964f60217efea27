"""Pictures one by one: a teacher beside a loaded student."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill.models import Preprocessing, check, load
from distill.recorded import read_view
from distill.tasks.prediction import Predicting
from distill.types import Architecture


class PicturePredicting(Predicting):
    """Loaded students of pictures are dataclasses with `model`, `architecture` and `preprocessing`."""

    def teacher(self, student: Any, weights: Path, told: Mapping[str, Any], scratch: Path) -> Any:
        report = check(Architecture.model_validate(told["architecture"]), weights)
        model = load(report.architecture, weights, report.num_classes or None)
        how = Preprocessing(**read_view(json.dumps(told["preprocessing"])))
        return replace(student, model=model, architecture=report.architecture, preprocessing=how)
