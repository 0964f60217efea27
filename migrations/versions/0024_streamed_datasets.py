"""datasets that are read where they lie"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0024"
down_revision = "0021"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Earlier datasets are kept whole."""
    op.add_column("datasets", sa.Column("shards", JSON, nullable=True))


def downgrade() -> None:
    """A dataset of shards stays as a row that no job can use."""
    with op.batch_alter_table("datasets") as batch:
        batch.drop_column("shards")
