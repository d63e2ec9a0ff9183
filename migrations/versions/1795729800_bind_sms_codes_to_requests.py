"""Bind SMS codes to their requests and purposes

Revision: 1795729800
Follows: 1795726800
Made: 2026-11-26 21:50:00.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "1795729800"
down_revision = "1795726800"
branch_labels = ()
depends_on = None


def upgrade() -> None:
    # A code lives for five minutes, and one without a purpose is good for nothing.
    op.execute("DELETE FROM sms_code")
    with op.batch_alter_table("sms_code", schema=None) as batch_op:
        batch_op.add_column(sa.Column("purpose", sa.String(length=16), nullable=False))
        batch_op.drop_constraint(batch_op.f("uq_sms_code_phone"), type_="unique")
        batch_op.create_index(batch_op.f("ix_sms_code_phone"), ["phone"], unique=False)


def downgrade() -> None:
    op.execute("DELETE FROM sms_code")
    with op.batch_alter_table("sms_code", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sms_code_phone"))
        batch_op.create_unique_constraint(batch_op.f("uq_sms_code_phone"), ["phone"])
        batch_op.drop_column("purpose")
