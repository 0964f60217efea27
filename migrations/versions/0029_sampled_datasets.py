"""datasets of which a sample was read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_STATUS = "ck_datasets_status"


def upgrade() -> None:
    _allow("'inspecting', 'ready', 'invalid', 'sampled'")


def downgrade() -> None:
    """Of a dataset of which a sample was read all is read."""
    op.execute(sa.text("UPDATE datasets SET status = 'inspecting' WHERE status = 'sampled'"))
    _allow("'inspecting', 'ready', 'invalid'")


def _allow(states: str) -> None:
    with op.batch_alter_table("datasets") as batch:
        batch.drop_constraint(op.f(_STATUS), type_="check")
        batch.create_check_constraint(op.f(_STATUS), f"status IN ({states})")
