"""Migrations while a job runs: scenario 17."""

from __future__ import annotations

import signal
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from store.database import MIGRATIONS, alembic_config
from tests.faults.conftest import LONG_CONFIG
from tests.faults.evidence import Reference, succeeded, told
from tests.faults.site import Services, Site, until
from tests.integration.main_job import architectures_known

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "next", "{head}", None, None

def upgrade():
    op.add_column("jobs", sa.Column("note", sa.String(40)))
    op.add_column("attempts", sa.Column("weight", sa.Integer, nullable=False, server_default="1"))
    op.create_index("ix_events_kind", "job_events", ["kind"])
    op.create_table("notes", sa.Column("id", sa.String(40), primary_key=True))
"""


def test_17_the_next_migration_with_a_job_running(site: Site, undisturbed_long: Reference, tmp_path: Path) -> None:
    """This version's API and worker go on while a migration as the next version might have it takes its locks on the
    tables that they write to."""
    site.worker("w")
    job_id = site.submit(config=LONG_CONFIG)
    site.checkpointed(job_id)
    config = alembic_config(site.database_url)
    head = ScriptDirectory.from_config(config).get_current_head()
    (tmp_path / "next_revision.py").write_text(NEXT.format(head=head))
    config.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}:{tmp_path}")
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")
    site.wait(job_id, status="succeeded")
    succeeded(site, job_id, undisturbed_long, ["succeeded"])


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True).stdout


def _migrations(commit: str) -> dict[str, str]:
    """Path -> blob of every revision that the commit has."""
    rows = [line.split() for line in _git("ls-tree", "-r", commit, "migrations/versions").decode().splitlines()]
    return {row[3]: row[2] for row in rows if not row[3].endswith("__init__.py")}


@pytest.fixture
def old_code(tmp_path: Path) -> tuple[Path, str]:
    """The newest code that has fewer migrations than this one, and the same otherwise; and its newest revision."""
    mine = _migrations("HEAD")
    for commit in _git("rev-list", "-400", "HEAD").decode().split():
        theirs = _migrations(commit)
        if theirs and theirs.items() < mine.items():
            folder = tmp_path / "old"
            folder.mkdir()
            subprocess.run(["tar", "-x", "-C", folder], input=_git("archive", commit), check=True)
            return folder, Path(max(theirs)).name.partition("_")[0]
    pytest.skip("UPGRADE FROM THE PREVIOUS VERSION WAS NOT TESTED: git's history is not here")


def test_17_upgrade_from_the_previous_version(old_code: tuple[Path, str], services: Services, tmp_path: Path) -> None:
    """`alembic upgrade head` under the previous version's API and worker, a job in the middle of its training: it goes
    on; then both are replaced, the job is handed over, and the new version finishes it."""
    old, previous = old_code
    folder = tmp_path / "site"
    folder.mkdir()
    bare = Services(services.postgres, services.redis, services.s3)
    with closing(Site(folder, bare, PYTHONPATH=str(old))) as site:
        site.database.migrate(previous)
        site.start_api()
        worker = site.worker("old")
        until(lambda: architectures_known(site.http), 180)
        config = LONG_CONFIG | {"recipe": "cross_entropy"}
        job_id = site.submit(dataset={"named": "digits"}, student="retort:resnet8", config=config)
        step = site.checkpointed(job_id)
        site.database.migrate()
        site.wait(job_id, attempt=1, status="running")
        until(lambda: site.checkpointed(job_id) > step, 60)

        worker.stop(signal.SIGTERM, 30)
        site.api.stop()
        site.environment["PYTHONPATH"] = str(ROOT)
        assert site.api.environment is not None
        site.api.environment["PYTHONPATH"] = str(ROOT)
        site.start_api()
        site.worker("new")
        site.wait(job_id, status="succeeded")
        assert told(site, job_id).outcomes == ["handed_over", "succeeded"]
