"""Two processes are one, within rounding, under every setting that orders, mixes or weighs samples, and under other
optimizers and schedules than the default's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.control import Control
from distill.run import build_recipe
from distill.running.session import Session
from distill.train import train
from distill.training.rng import seed_everything
from distill.types import RunSpec
from tests.run.conftest import spec
from tests.training.test_distributed import run_two
from tests.training.test_resume import drain

STUDENT = {"name": "timm:test_vit", "options": {"img_size": 16}}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sgd": {"optimizer": "sgd", "schedule": "multi_step", "milestones": [0.5], "nesterov": True, "learning_rate": 0.05},
    "lion": {"optimizer": "lion", "schedule": "cosine", "learning_rate": 1e-4, "clip_norm": 1.0},
    "constant": {"schedule": "constant", "warmup_fraction": 0.5, "label_smoothing": 0.1, "gradient_accumulation": 2},
    "mixed": {"mixup": 0.4, "cutmix": 1.0, "augmentation": "crop_flip"},
    "drawn": {"sampling": "balanced", "augmentation": "crop_flip"},
    "weighed": {"class_weights": {"3": 5.0}, "gradient_accumulation": 2},
    "decayed": {"layer_decay": 0.7, "student": STUDENT, "image_size": 16},
}


TOGETHER = """
import json, sys
from pathlib import Path
import torch
from distill.training import distributed
from distill.types import RunSpec
from tests.run.test_settings_distributed import trained
torch.set_num_threads(1)
with distributed.group() as rank:
    for path in json.loads(sys.argv[1]):
        given = RunSpec.model_validate_json(Path(path).read_text())
        found = trained(given, Path(path).parent / f"two-{rank}")
        torch.save(found, Path(path).parent / f"two-{rank}.pt")
"""


def trained(given: RunSpec, folder: Path) -> Tensor:
    """The weights after training, of the student without what evaluates and delivers it, as one vector."""
    session = Session.open(given, folder, Control())
    seed_everything(given.config.seed)
    recipe, data = build_recipe(session), session.task.train_data()
    drain(train(recipe, data, session.config, folder / "checkpoints", Control()))
    state = recipe.exported().state_dict()
    return torch.cat([value.flatten() for _, value in sorted(state.items()) if value.is_floating_point()])


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Tensor, ...]]:
    """Of one process, and of both ranks of two."""
    folder, one, paths = tmp_path_factory.mktemp("settings"), {}, []
    for name, changes in SETTINGS.items():
        base = {"recipe": "cross_entropy", "learning_rate": 3e-3, "max_steps": 3, "epochs": 1, "fit_head": False}
        given = spec(**(base | {"train_limit": 300, "test_limit": 20} | changes))
        (folder / name).mkdir()
        (folder / name / "spec.json").write_text(given.model_dump_json())
        paths.append(str(folder / name / "spec.json"))
        one[name] = trained(given, folder / name / "one")
    run_two(TOGETHER, [json.dumps(paths)], 200)
    return {
        name: (own, *(torch.load(folder / name / f"two-{rank}.pt") for rank in range(2))) for name, own in one.items()
    }


@pytest.mark.parametrize("name", SETTINGS)
def test_two_processes_are_one(name: str, both: dict[str, tuple[Tensor, ...]]) -> None:
    one, first, second = both[name]
    assert torch.equal(first, second)
    torch.testing.assert_close(first, one, rtol=1e-3, atol=5e-4)


def test_the_settings_are_no_default(both: dict[str, tuple[Tensor, ...]]) -> None:
    """Each trains another student than the plain one, by far more than rounding."""
    for name in SETTINGS.keys() - {"plain", "decayed"}:
        assert float((both[name][0] - both["plain"][0]).abs().max()) > 3e-3, name
