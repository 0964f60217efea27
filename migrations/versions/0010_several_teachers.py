"""jobs with several teachers: which they are, and the Q curve of each"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_KEY = "pk_curve_points"


def upgrade() -> None:
    """Empty: earlier jobs had one teacher, which stands in their own row."""
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "job_teachers",
        sa.Column("job_id", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("teacher_id", sa.String(length=40), nullable=False),
        sa.Column("curve", json, nullable=True),
        sa.Column("selection", json, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_teachers_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["teacher_id"], ["teachers.id"], name=op.f("fk_job_teachers_teacher_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_job_teachers")),
    )
    op.create_index(op.f("ix_job_teachers_teacher_id"), "job_teachers", ["teacher_id"], unique=False)
    with op.batch_alter_table("curve_points") as batch:
        batch.add_column(sa.Column("teacher", sa.Integer(), autoincrement=False, nullable=False, server_default="0"))
        batch.drop_constraint(op.f(_KEY), type_="primary")
        batch.create_primary_key(op.f(_KEY), ["job_id", "teacher", "layer_index"])


def downgrade() -> None:
    """Curves of further teachers go: there is no place for them."""
    op.execute(sa.text("DELETE FROM curve_points WHERE teacher > 0"))
    with op.batch_alter_table("curve_points") as batch:
        batch.drop_constraint(op.f(_KEY), type_="primary")
        batch.drop_column("teacher")
        batch.create_primary_key(op.f(_KEY), ["job_id", "layer_index"])
    op.drop_index(op.f("ix_job_teachers_teacher_id"), table_name="job_teachers")
    op.drop_table("job_teachers")
