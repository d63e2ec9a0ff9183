"""Add pictures of accounts

Revision: 1795804000_user
Follows: 1795783138_user
Made: 2026-11-27 18:26:40
"""

import sqlalchemy as sa
from alembic import op

revision = "1795804000_user"
down_revision = "1795783138_user"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.add_column(sa.Column("avatar", sa.String(length=32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.drop_column("avatar")
