"""Create tables

Revision: 1795742999_comment
Follows:
Made: 2026-11-27 01:30:00.719075
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795742999_comment"
down_revision = None  # comment begins here
branch_labels = ("comment",)
depends_on = ["1795742999_article", "1795742999_user"]


def upgrade() -> None:
    op.create_table(
        "comment",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "article_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("author", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["article.id"],
            name=op.f("fk_comment_article_id_article"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["author"], ["user.username"], name=op.f("fk_comment_author_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comment")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("comment", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_comment_article_id_author"), ["article_id", "author"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_comment_article_id_id"), ["article_id", "id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_comment_author"), ["author"], unique=False)


def downgrade() -> None:
    op.drop_table("comment")
