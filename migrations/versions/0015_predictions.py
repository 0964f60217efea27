"""requests to finished students"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from store.clock import UTCDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rows live for seconds, so there are none to bring along."""
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "predictions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("request", json, nullable=False),
        sa.Column("pictures", sa.LargeBinary(), nullable=True),
        sa.Column("said", json, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("expires_at", UTCDateTime(), nullable=False),
        sa.CheckConstraint("status IN ('waiting', 'held', 'answered')", name=op.f("ck_predictions_status")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_predictions_tenant_id_tenants"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_predictions_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )
    op.create_index("ix_predictions_waiting", "predictions", ["status", "job_id", "created_at"], unique=False)
    op.create_index(op.f("ix_predictions_tenant_id"), "predictions", ["tenant_id"], unique=False)
    op.create_index(op.f("ix_predictions_job_id"), "predictions", ["job_id"], unique=False)


def downgrade() -> None:
    op.drop_table("predictions")
