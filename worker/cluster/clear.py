"""`python -m worker.cluster.clear HOSTS FOLDER`: end what a driver that was killed has left in the cluster."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from worker.cluster.connection import connected
from worker.cluster.team import cleared
from worker.processes.environment import ADDRESS


def main(hosts: int, folder: Path) -> int:
    """0: nothing is left."""
    with connected(os.environ[ADDRESS]):
        return 0 if cleared(folder, hosts) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2])))
