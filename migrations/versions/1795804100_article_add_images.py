"""Add images of articles

Revision: 1795804100_article
Follows: 1795742999_article
Made: 2026-11-27 18:28:20
"""

import sqlalchemy as sa
from alembic import op

revision = "1795804100_article"
down_revision = "1795742999_article"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "article_image",
        sa.Column(
            "article_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("file", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["article.id"],
            name=op.f("fk_article_image_article_id_article"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("article_id", "file", name=op.f("pk_article_image")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("article_image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_article_image_file"), ["file"], unique=False)


def downgrade() -> None:
    op.drop_table("article_image")
