"""What holds a trainer, which loads tokenizers, images and weights that strangers sent.

Entered by the trainer itself before it loads anything: Landlock to its job's folder and what it must read, seccomp, no
capabilities, rlimits, and namespaces of its own for network, shared memory and IPC. Children inherit all of it. What
the kernel refuses is in the result's `problems`; whether to go on without is for the caller to decide.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from worker.isolation import landlock, libc, namespaces, seccomp
from worker.isolation.inside import ROOT, plan_of
from worker.isolation.plan import Isolation

TEMPORARY = "tmp"
"""Of a job's folder, where HOME, temporary files and caches are."""

PROCESSES = 4096
"""Processes and threads that a job may have, beyond what its user runs already."""

_KERNEL = (
    "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg", "/proc/version", "/proc/filesystems",
    "/proc/sys/vm", "/proc/sys/kernel", "/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/etc/localtime",
    "/etc/fonts",
)  # fmt: skip
_GPU_FACTS = ("/proc/driver", "/proc/devices", "/proc/modules", "/sys", "/etc/nvidia", "/usr/share/nvidia")
_NVIDIA, _ROCM = ("nvidia*", "nvidia-caps/*"), ("kfd", "dri/renderD*")
_GROUP_FACTS = ("/sys", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/host.conf", "/etc/hostname",
                "/etc/gai.conf")  # fmt: skip
_LOADERS = ("/lib64/ld-linux*", "/lib/ld-linux*", "/lib/ld-musl*", "/usr/lib64/ld-linux*", "/usr/lib/ld-linux*")
_CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
           "MPLCONFIGDIR", "HF_HOME", "TORCH_HOME", "NUMBA_CACHE_DIR")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Confinement:
    """`workspaces`: folders to work in. `read_only`: other files and folders to read. `temporary`: the workspace that
    gets HOME, TMPDIR and the caches. `private`: folders of which nothing but the above may be readable: where the
    service keeps its data. `by_name`: folders of which files may be read whose names one knows. `group`: several
    processes of one job, which speak by loopback; `network`: which are on several hosts, and speak by the machine's
    network. `devices`: the GPU's device files. `worker`: the worker's user id,
    None where it is not known. `memory_bytes`: private writable memory (RLIMIT_DATA), 0 for no limit: not of what
    computes on a GPU, whose driver reserves more than it uses."""

    workspaces: tuple[Path, ...]
    read_only: tuple[Path, ...]
    temporary: Path
    private: tuple[Path, ...] = ()
    by_name: tuple[Path, ...] = ()
    group: bool = False
    network: bool = False
    worker: int | None = None
    memory_bytes: int = 0
    devices: tuple[str, ...] = field(default_factory=lambda: gpu_devices())


def gpu_devices(root: Path = Path("/dev")) -> tuple[str, ...]:
    """Device files of the GPUs that torch computes on, unless CUDA_VISIBLE_DEVICES hides them all."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1"):
        return ()
    patterns = _NVIDIA + (_ROCM if (root / "kfd").exists() else ())  # a renderer alone is a display's
    return tuple(sorted(str(path) for pattern in patterns for path in root.glob(pattern) if not path.is_dir()))


def written(workspaces: Sequence[str]) -> tuple[str, ...]:
    """The folders that a process confined by `of_job` writes: another user than the worker must be granted them all."""
    return (*workspaces, TEMPORARY)


def of_job(folder: Path, workspaces: Sequence[str], read_only: Sequence[str] = ()) -> Confinement:
    """The confinement of the trainer that works in `folder`, of which it writes `workspaces` and reads the rest."""
    temporary = folder / TEMPORARY
    own = tuple(folder / name for name in written(workspaces))
    for path in own:
        path.mkdir(exist_ok=True)
    data, scratch = os.environ.get("RETORT_DATA_DIR", ""), folder.parent.parent
    private = tuple(Path(path).resolve() for path in (data, scratch) if path)
    readable = (folder, *map(Path, filter(None, read_only)))
    return Confinement(own, readable, temporary, private, worker=folder.stat().st_uid)


def confine(wanted: Confinement) -> Isolation:
    """Give up all that `wanted` does not name, and set HOME, TMPDIR and the caches' folders. Call before other threads
    exist. Raises nothing: see `Isolation.problems`."""
    isolation, rules = exposing(Isolation(other_user=other_user(wanted.worker)), wanted.private), _rules(wanted)
    for step in (_namespaces, _unprivileged, _limits, _landlock, _seccomp):
        try:
            isolation = step(wanted, rules, isolation)
        except OSError as error:
            layer = step.__name__.strip("_")
            isolation = _with(isolation, f"{layer}: {error.strerror or error}")
    _set_environment(wanted.temporary)
    return isolation


def other_user(worker: int | None) -> bool | None:
    """Whether this process runs as another user than the worker; None where that is not known."""
    return None if worker is None else os.geteuid() != worker


def _namespaces(wanted: Confinement, rules: landlock.Rules, isolation: Isolation) -> Isolation:
    """Not around a GPU, whose driver looks at owners and process numbers, unless several processes need a loopback."""
    loopback = wanted.group and not wanted.network
    isolation = replace(isolation, network=wanted.network)
    if wanted.devices and not loopback:
        return isolation
    kinds = ("mount", "ipc") if wanted.network else ("mount", "net", "ipc")
    names = namespaces.enter(kinds, inner_id=os.geteuid())
    if not names:
        return _with(isolation, "namespaces: refused by the kernel or the container")
    isolation = replace(isolation, namespaces=names)
    if loopback:
        namespaces.raise_loopback()
    try:
        namespaces.own_shared_memory()
    except OSError as error:
        return _with(isolation, f"own shared memory: {error.strerror or error}")
    return replace(isolation, own_shared_memory=True)


def _unprivileged(wanted: Confinement, rules: landlock.Rules, isolation: Isolation) -> Isolation:
    libc.no_new_privileges()
    libc.drop_capabilities()
    return replace(isolation, no_capabilities=True)


def _limits(wanted: Confinement, rules: landlock.Rules, isolation: Isolation) -> Isolation:
    """No core dumps (they hold the job's data), no message queues, no real-time priority, no fork bomb. A trainer's
    memory is the container's to limit: what CUDA reserves is no use of it, and neither is a mapped file."""
    limits = {"CORE": 0, "MSGQUEUE": 0, "RTPRIO": 0, "NPROC": libc.tasks_of_user() + PROCESSES}
    limits |= {"DATA": wanted.memory_bytes} if wanted.memory_bytes else {}
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
        isolation = replace(isolation, rlimits=(*isolation.rlimits, name))
    return isolation


def exposing(isolation: Isolation, private: Sequence[Path]) -> Isolation:
    """`isolation` with those of the `private` folders and files that lie in what every trainer reads, as an
    environment."""
    readable = [Path(os.path.realpath(path)) for path in namespaces.readable_paths(plan_of((), ()))]
    within = (str(each) for each in private if any(each.resolve().is_relative_to(path) for path in readable))
    found = tuple(path for path in within if path not in isolation.exposed)
    problems = (f"landlock: {path} lies in a folder that trainers must read; move it" for path in found)
    return replace(isolation, exposed=(*isolation.exposed, *found), problems=(*isolation.problems, *problems))


def _landlock(wanted: Confinement, rules: landlock.Rules, isolation: Isolation) -> Isolation:
    return replace(isolation, landlock=landlock.restrict(rules))


def _seccomp(wanted: Confinement, rules: landlock.Rules, isolation: Isolation) -> Isolation:
    sockets = wanted.network or (wanted.group and "net" in isolation.namespaces)
    signals = isolation.landlock >= landlock.SIGNALS_SCOPED
    seccomp.install(seccomp.Trainer(signals, bool(wanted.devices), sockets))
    return replace(isolation, seccomp=True)


def _rules(wanted: Confinement) -> landlock.Rules:
    own = tuple(str(path.resolve()) for path in wanted.read_only)
    readable = namespaces.readable_paths(plan_of(own, ()))
    facts = (*_KERNEL, *(_GPU_FACTS if wanted.devices else ()), *(_GROUP_FACTS if wanted.group else ()))
    # torch.compile for a GPU starts a C compiler and ptxas; a program that is read could be run in any case.
    programs = readable if wanted.devices else _interpreter()
    return landlock.Rules(
        read_only=(*readable, *facts),
        writable=("/dev/shm",),  # noqa: S108 - one's own where the kernel has mount namespaces
        workspaces=tuple(str(path.resolve()) for path in wanted.workspaces),
        listed=(str(ROOT),),
        by_name=tuple(str(path.resolve()) for path in wanted.by_name),
        devices=("/dev/null", "/dev/zero", *wanted.devices),
        programs=programs,
        tcp=wanted.group,
    )


def _interpreter() -> tuple[str, ...]:
    """Python and what the kernel loads it with: data loaders' workers are started anew."""
    loaders = (str(path) for pattern in _LOADERS for path in Path("/").glob(pattern.lstrip("/")))
    return tuple(os.path.realpath(path) for path in (sys.executable, *loaders))


def _set_environment(temporary: Path) -> None:
    home = str(temporary)
    caches = {name: str(temporary / "cache" / name.lower()) for name in _CACHES}
    os.environ |= {"HOME": home, "TMPDIR": home, "PYTHONDONTWRITEBYTECODE": "1"} | caches
    tempfile.tempdir = None  # it was found before, perhaps


def _with(isolation: Isolation, problem: str) -> Isolation:
    return replace(isolation, problems=(*isolation.problems, problem))
