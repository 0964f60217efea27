"""exports of a finished job's student, as small jobs of their own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: earlier jobs all trained."""
    op.add_column("jobs", sa.Column("export_of", sa.String(length=40), nullable=True))
    op.add_column("jobs", sa.Column("export", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=True))
    op.create_index(op.f("ix_jobs_export_of"), "jobs", ["export_of"], unique=False)


def downgrade() -> None:
    """Exports go: to the release before they would be jobs that train."""
    op.execute(sa.text("DELETE FROM jobs WHERE export_of IS NOT NULL"))
    op.drop_index(op.f("ix_jobs_export_of"), table_name="jobs")
    op.drop_column("jobs", "export")
    op.drop_column("jobs", "export_of")
