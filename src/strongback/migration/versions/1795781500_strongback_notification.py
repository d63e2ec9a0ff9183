"""Add notifications and preferences

Revision: 1795781500_strongback
Follows: 1795781434_strongback
Made: 2026-11-27 12:10:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795781500_strongback"
down_revision = "1795781434_strongback"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sb_notification",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "recipient", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=32), nullable=True),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.Column(
            "read_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=True
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sb_notification")),
        sa.UniqueConstraint(
            "recipient", "kind", "subject", name=op.f("uq_sb_notification_recipient_kind_subject")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("sb_notification", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sb_notification_recipient_listed_id"),
            ["recipient", "listed", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_sb_notification_recipient_listed_read_at_id"),
            ["recipient", "listed", "read_at", "id"],
            unique=False,
        )

    op.create_table(
        "sb_notification_preference",
        sa.Column(
            "user_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("way", sa.String(length=16), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "user_id", "kind", "way", name=op.f("pk_sb_notification_preference")
        ),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("sb_notification_preference")
    op.drop_table("sb_notification")
