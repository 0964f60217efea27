"""What the atheris harnesses share. They run outside `make test`, in an environment of their own:

    python3 -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris
    /tmp/fuzz/bin/python tests/fuzz/safetensors_header.py -max_total_time=60

atheris is no dependency of the project (wheels for CPython 3.11 to 3.13 on Linux only; it instruments what it imports);
the readers need the standard library alone, so nothing else is installed beside it. Every exception other than
`InvalidTeacher` is a finding; so are, by libFuzzer, inputs that take longer than 10 s or more than 1 GiB.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def fuzz(read: Callable[[bytes], object], seeds: Iterable[bytes]) -> None:
    """Run libFuzzer on `read` with the command line's options, from `seeds` on. Does not return."""
    import atheris

    from distill.errors import InvalidTeacher

    def once(data: bytes) -> None:
        try:
            read(data)
        except InvalidTeacher:
            return

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], "-timeout=10", "-rss_limit_mb=1024", *sys.argv[1:], corpus], once)
        atheris.Fuzz()


def on_disk(read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """For readers of files: each input through one file in memory."""
    shared = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None)) / "input"

    def through_file(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return through_file
