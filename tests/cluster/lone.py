"""`python -m tests.cluster.lone FOLDER DATABASE OBJECTS ADDRESS JOB`: a worker with this job alone, to be killed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from store.database import Database
from store.objects import FolderStore
from tests.cluster.world import settings_on
from tests.store.support import claimed
from worker.cluster.attempt import ClusterAttempt
from worker.jobs.supervisor import Supervisor

if __name__ == "__main__":
    folder, url, objects, address, job_id = sys.argv[1:]
    settings, database = settings_on(Path(folder), address), Database(url)
    lease = claimed(database, job_id, settings.lease_seconds)
    Supervisor(settings, database, FolderStore(Path(objects)), threading.Event(), wide=ClusterAttempt).supervise(lease)
