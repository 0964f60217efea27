"""students that are chosen by what they may cost"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Earlier jobs and studies named their students."""
    for table in ("jobs", "studies"):
        op.add_column(table, sa.Column("student_budget", JSON, nullable=True))


def downgrade() -> None:
    """Which student a job has stays; why it is this one is forgotten."""
    for table in ("jobs", "studies"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("student_budget")
