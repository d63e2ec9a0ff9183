"""Add replies

Revision: 1795782600_comment
Follows: 1795742999_comment
Made: 2026-11-27 12:30:00
"""

import sqlalchemy as sa
from alembic import op

revision = "1795782600_comment"
down_revision = "1795742999_comment"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("comment", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "reply_to", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
            )
        )


def downgrade() -> None:
    with op.batch_alter_table("comment", schema=None) as batch_op:
        batch_op.drop_column("reply_to")
