"""jobs whose processes hold shares of what they train"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Every process held all of it: so were earlier jobs trained."""
    op.add_column("jobs", sa.Column("sharding", sa.String(10), nullable=False, server_default="none"))


def downgrade() -> None:
    """Jobs that wait to be trained in shares are trained whole on every process."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("sharding")
