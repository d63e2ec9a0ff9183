"""Tell since when messages are due

Revision: 1795725900
Follows: 1795724000
Made: 2026-11-26 20:45:00.000000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795725900"
down_revision = "1795724000"
branch_labels = ()
depends_on = None


def upgrade() -> None:
    for name in ("due_at", "updated_at"):
        kind = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
        with op.batch_alter_table("outbox", schema=None) as batch_op:
            batch_op.add_column(sa.Column(name, kind, nullable=True))
    # What is given up is never late, and there may be millions of it.
    op.execute("""
        UPDATE outbox SET due_at =
            CASE WHEN state = 'waiting' AND attempts = 0 THEN available_at ELSE created_at END
        WHERE available_at IS NOT NULL
    """)
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_outbox_state_due_at"), ["state", "due_at"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_state_due_at"))
        batch_op.drop_column("updated_at")
        batch_op.drop_column("due_at")
