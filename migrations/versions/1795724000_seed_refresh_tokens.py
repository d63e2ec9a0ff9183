"""Give spent refresh tokens the seed of their successor

Revision: 1795724000
Follows: 1795383500
Made: 2026-11-26 20:13:20.000000
"""

import sqlalchemy as sa
from alembic import op

revision = "1795724000"
down_revision = "1795383500"
branch_labels = ()
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("seed", sa.String(length=32), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.drop_column("seed")
