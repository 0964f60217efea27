"""jobs on several hosts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One host: so were earlier jobs trained."""
    op.add_column("jobs", sa.Column("hosts", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Jobs that wait for several hosts are trained by as many processes on one."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("hosts")
