"""Create tables

Revision: 1795742999_notification
Follows:
Made: 2026-11-27 01:30:00.702819
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795742999_notification"
down_revision = None  # notification begins here
branch_labels = ("notification",)
depends_on = "1795742999_user"


def upgrade() -> None:
    op.create_table(
        "notification",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("recipient", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.Column(
            "read_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["recipient"], ["user.username"], name=op.f("fk_notification_recipient_user")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint(
            "recipient", "kind", "subject", name=op.f("uq_notification_recipient_kind_subject")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_notification_recipient_id"), ["recipient", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_notification_recipient_read_at_id"),
            ["recipient", "read_at", "id"],
            unique=False,
        )


def downgrade() -> None:
    op.drop_table("notification")
