"""what a run warned of, and how a teacher sees pictures"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """Empty: earlier runs warned in their logs alone, and earlier teachers saw by their header or a default."""
    op.add_column("jobs", sa.Column("warnings", _JSON, nullable=True))
    op.add_column("teachers", sa.Column("preprocessing", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("teachers", "preprocessing")
    op.drop_column("jobs", "warnings")
