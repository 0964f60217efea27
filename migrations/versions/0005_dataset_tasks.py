"""the task of a dataset"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: what was inspected before tells its task by its report (`distill.tasks.of_report`)."""
    op.add_column("datasets", sa.Column("task", sa.String(length=60), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("datasets", "task")
