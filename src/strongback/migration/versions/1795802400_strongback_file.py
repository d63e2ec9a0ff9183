"""Add files, and what the files of an account take

Revision: 1795802400_strongback
Follows: 1795781500_strongback
Made: 2026-11-27 18:00:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795802400_strongback"
down_revision = "1795781500_strongback"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sb_file",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("content_type", sa.String(length=100), nullable=False),
        sa.Column("sizes", sa.JSON(), nullable=False),
        sa.Column("charged", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column(
            "created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.Column(
            "changed_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sb_file")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sb_file_public_id")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("sb_file", schema=None) as batch_op:
        batch_op.create_index("ix_sb_file_owner_state_id", ["owner", "state", "id"], unique=False)
        batch_op.create_index("ix_sb_file_state_changed_at", ["state", "changed_at"], unique=False)

    op.create_table(
        "sb_file_usage",
        sa.Column("owner", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_sb_file_usage")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )


def downgrade() -> None:
    op.drop_table("sb_file_usage")
    op.drop_table("sb_file")
