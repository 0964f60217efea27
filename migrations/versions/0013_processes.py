"""jobs that several processes train"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One process: so were earlier jobs trained."""
    op.add_column("jobs", sa.Column("processes", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Jobs that wait for several processes are trained by one."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("processes")
