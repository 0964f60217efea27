"""uploads, scopes of keys, quotas of tenants"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("filename", sa.String(length=200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.BigInteger(), nullable=False),
        sa.Column("direct", sa.Boolean(), nullable=False),
        sa.Column("declared_sha256", sa.String(length=64), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("object_key", sa.String(length=500), nullable=False),
        sa.Column("handle", sa.String(length=1000), nullable=False),
        sa.Column("error", sa.JSON().with_variant(JSONB(), "postgresql"), nullable=True),
        sa.Column("resource_id", sa.String(length=40), nullable=True),
        sa.Column("lease_token", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('open', 'completing', 'complete', 'failed', 'used', 'expired')", name=op.f("ck_uploads_status")
        ),
        sa.CheckConstraint("purpose IN ('teacher', 'dataset')", name=op.f("ck_uploads_purpose")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_uploads_tenant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_list", "uploads", ["tenant_id", "id"], unique=False)
    op.create_index("ix_uploads_expiry", "uploads", ["status", "expires_at"], unique=False)
    op.create_index(op.f("ix_uploads_resource_id"), "uploads", ["resource_id"], unique=False)
    # Keys that are there already could do everything.
    scopes = sa.Column("scopes", sa.String(length=60), nullable=False, server_default="read,write,admin")
    with op.batch_alter_table("api_keys") as batch:
        batch.add_column(scopes)
    with op.batch_alter_table("api_keys") as batch:
        batch.alter_column("scopes", server_default=None)
    with op.batch_alter_table("tenants") as batch:
        batch.add_column(sa.Column("max_running_jobs", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("max_queued_jobs", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("max_stored_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for column in ("max_stored_bytes", "max_queued_jobs", "max_running_jobs"):
        op.drop_column("tenants", column)
    op.drop_column("api_keys", "scopes")
    op.drop_index(op.f("ix_uploads_resource_id"), table_name="uploads")
    op.drop_index("ix_uploads_expiry", table_name="uploads")
    op.drop_index("ix_uploads_list", table_name="uploads")
    op.drop_table("uploads")
