"""studies, their trials and events"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _studies()
    _trials()
    op.create_table(
        "study_events",
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_events_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "seq", name=op.f("pk_study_events")),
    )


def _studies() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("labels", JSON, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=False),
        sa.Column("task", sa.String(length=60), nullable=False),
        sa.Column("base", JSON, nullable=False),
        sa.Column("space", JSON, nullable=False),
        sa.Column("seeds", JSON, nullable=False),
        sa.Column("confirm", sa.Integer(), nullable=False),
        sa.Column("strategy", sa.String(length=80), nullable=False),
        sa.Column("strategy_parameters", JSON, nullable=False),
        sa.Column("search_seed", sa.Integer(), nullable=False),
        sa.Column("resource", sa.Integer(), nullable=False),
        sa.Column("objectives", JSON, nullable=False),
        sa.Column("budget", JSON, nullable=False),
        sa.Column("exhausted", sa.Boolean(), nullable=False),
        sa.Column("inputs", JSON, nullable=False),
        sa.Column("result", JSON, nullable=True),
        sa.Column("error", JSON, nullable=True),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'paused', 'cancelling', 'succeeded', 'failed', 'cancelled')",
            name=op.f("ck_studies_status"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_studies_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_studies")),
    )
    op.create_index("ix_studies_list", "studies", ["tenant_id", "id"], unique=False)
    op.create_index("ix_studies_status", "studies", ["status"], unique=False)


def _trials() -> None:
    op.create_table(
        "study_trials",
        sa.Column("study_id", sa.String(length=40), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("configuration", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("assignment", JSON, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=40), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("outcome", sa.String(length=60), nullable=True),
        sa.Column("values", JSON, nullable=True),
        sa.Column("test", JSON, nullable=True),
        sa.Column("reported", JSON, nullable=False),
        sa.Column("marks", JSON, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'succeeded', 'pruned', 'failed', 'cancelled')", name=op.f("ck_study_trials_state")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_study_trials_job_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["study_id"], ["studies.id"], name=op.f("fk_study_trials_study_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("study_id", "number", name=op.f("pk_study_trials")),
        sa.UniqueConstraint("job_id", name=op.f("uq_study_trials_job_id")),
    )
    op.create_index("ix_study_trials_state", "study_trials", ["study_id", "state"], unique=False)
    op.create_index("ix_study_trials_digest", "study_trials", ["study_id", "digest"], unique=False)


def downgrade() -> None:
    for table in ("study_events", "study_trials", "studies"):
        op.drop_table(table)
