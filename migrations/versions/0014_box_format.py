"""what a registration says of the numbers of a dataset's boxes"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Empty: the files tell, as before."""
    op.add_column("datasets", sa.Column("box_format", sa.String(20), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("datasets") as batch:
        batch.drop_column("box_format")
