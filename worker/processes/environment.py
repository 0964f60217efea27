"""What a child process sees of our environment: what it needs, and no credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from distill.modalities.images import sets
from store.settings import Settings
from worker.isolation.required import NAMED_SETS, REQUIRED

ADDRESS = "RETORT_RAY_ADDRESS"
ROOT = Path(__file__).resolve().parents[2]
KEPT = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR"}
    | {"RETORT_EXTENSIONS"}  # folders of further tasks (distill.tasks): children run them too
)
PREFIXES = ("LC_", "CUDA_", "NVIDIA_", "NCCL_", "OMP_", "MKL_", "KMP_", "OPENBLAS_", "TORCH", "PYTORCH_", "PYTHON",
            "TRITON_", "HIP_", "ROCR_", "HF_", "XDG_", "COVERAGE_")  # fmt: skip
SECRETS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL")


def child_environment(settings: Settings, extra: Mapping[str, str]) -> dict[str, str]:
    """The kept part of `os.environ`, our own code on the path, where named datasets lie, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if _harmless(name)}
    path = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(path), "RETORT_DATA_DIR": str(settings.data_dir.absolute())}
    own |= {NAMED_SETS: os.pathsep.join(map(str, sets.folders(settings.data_dir)))}
    own |= {REQUIRED: "1"} if settings.require_isolation else {}
    # Without PYTHONSAFEPATH the folder that the worker was started in would come before all others.
    return kept | own | {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"} | dict(extra)


def cluster_environment(settings: Settings) -> dict[str, str]:
    """Of our own processes that speak with the Ray cluster, and load nothing of strangers: Ray's settings too."""
    ray = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
    return child_environment(settings, {**ray, ADDRESS: settings.ray_address})


def _harmless(name: str) -> bool:
    return (name in KEPT or name.startswith(PREFIXES)) and not any(word in name for word in SECRETS)
