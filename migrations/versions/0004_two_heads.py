"""joins the two revisions that were written side by side"""

from __future__ import annotations

revision = "0004_two_heads"
down_revision = ("0003_operations", "0003_teacher_sources")
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing of its own."""


def downgrade() -> None:
    """Nothing of its own."""
