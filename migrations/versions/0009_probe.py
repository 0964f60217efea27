"""the labelled dataset that judges features where a job's own has no labels"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: the datasets of earlier jobs had labels."""
    op.add_column("jobs", sa.Column("probe_id", sa.String(40), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "probe_id")
