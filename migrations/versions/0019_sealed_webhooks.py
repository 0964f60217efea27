"""webhooks' secrets, sealed by the operator's key"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.sealing import REMEDY, Sealer
from store.settings import Settings

revision = "0019"
down_revision = "0017"
branch_labels = None
depends_on = None

WEBHOOKS = sa.table("webhooks", *(sa.column(name, sa.String) for name in ("id", "tenant_id", "secret", "sealed")))


def upgrade() -> None:
    """What lies open is sealed where the key is at hand, else by the first worker or `store.prepare` that has it."""
    op.add_column("webhooks", sa.Column("sealed", sa.String(), nullable=True))
    sealer, connection = Settings().sealer, op.get_bind()
    if sealer is not None:
        for row in connection.execute(sa.select(WEBHOOKS)).all():
            sealed = sealer.seal(row.secret.encode(), f"{row.tenant_id}/webhook/{row.id}")
            changed = sa.update(WEBHOOKS).where(WEBHOOKS.c.id == row.id)
            connection.execute(changed.values(secret="", sealed=sealed))


def downgrade() -> None:
    """They lie open again. Ends with an error, and changes nothing, where a seal cannot be opened: who has no key would
    lose them."""
    sealer, connection = Settings().sealer, op.get_bind()
    for row in connection.execute(sa.select(WEBHOOKS).where(WEBHOOKS.c.sealed.is_not(None))).all():
        changed = sa.update(WEBHOOKS).where(WEBHOOKS.c.id == row.id)
        connection.execute(changed.values(secret=_opened(sealer, row)))
    with op.batch_alter_table("webhooks") as batch:
        batch.drop_column("sealed")


def _opened(sealer: Sealer | None, row: sa.Row) -> str:
    if sealer is None:
        raise RuntimeError(f"Webhooks' secrets are sealed. {REMEDY} Or delete the webhooks before you go back.")
    return sealer.open(row.sealed, f"{row.tenant_id}/webhook/{row.id}").decode()
