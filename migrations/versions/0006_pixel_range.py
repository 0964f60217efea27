"""the range in which a dataset's 16-bit images are read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Null: the upper byte, as before."""
    op.add_column("datasets", sa.Column("pixel_range", _JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("datasets", "pixel_range")
