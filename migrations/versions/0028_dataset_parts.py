"""datasets of shards that several workers read"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from store.clock import UTCDateTime

revision = "0028"
down_revision = "0026"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    """A dataset that is being inspected is read by its one holder, as before."""
    op.add_column("datasets", sa.Column("reading", JSON, nullable=True))
    op.create_table(
        "dataset_parts",
        sa.Column("dataset_id", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("shards_read", sa.Integer(), nullable=False),
        sa.Column("bytes_read", sa.BigInteger(), nullable=False),
        sa.Column("file", JSON, nullable=True),
        sa.Column("entries", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(40), nullable=True),
        sa.Column("lease_until", UTCDateTime(), nullable=True),
        sa.Column("worker_id", sa.String(40), nullable=True),
        sa.CheckConstraint("status IN ('waiting', 'read', 'failed')", name=op.f("ck_dataset_parts_status")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_parts_dataset_id_datasets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("dataset_id", "number", name=op.f("pk_dataset_parts")),
    )
    op.create_index("ix_dataset_parts_queue", "dataset_parts", ["status", "dataset_id", "number"])


def downgrade() -> None:
    """What was read in parts is read again, whole."""
    op.drop_index("ix_dataset_parts_queue", table_name="dataset_parts")
    op.drop_table("dataset_parts")
    with op.batch_alter_table("datasets") as batch:
        batch.drop_column("reading")
