"""how the recipe of a job was chosen"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Earlier jobs named their recipes."""
    op.add_column("jobs", sa.Column("choice", JSON, nullable=True))


def downgrade() -> None:
    """What a job trained by stays in its resolved configuration; why is forgotten."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_column("choice")
