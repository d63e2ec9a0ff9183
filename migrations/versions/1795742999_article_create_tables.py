"""Create tables

Revision: 1795742999_article
Follows:
Made: 2026-11-27 01:30:00.674140
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795742999_article"
down_revision = None  # article begins here
branch_labels = ("article",)
depends_on = "1795742999_user"


def upgrade() -> None:
    op.create_table(
        "article_view",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "article_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article_view")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tag",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("articles", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tag")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tag_articles_name", [sa.literal_column("articles DESC"), "name"], unique=False
        )

    op.create_table(
        "tag_change",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column(
            "due_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_change")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("tag_change", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_tag_change_due_at"), ["due_at"], unique=False)

    op.create_table(
        "article",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("slug", sa.String(length=120), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("summary", sa.String(length=500), nullable=False),
        sa.Column("body", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=False),
        sa.Column("html", sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql"), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=32), nullable=False),
        sa.Column("likes", sa.Integer(), nullable=False),
        sa.Column("comments", sa.Integer(), nullable=False),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.Column(
            "published_at",
            sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"),
            nullable=True,
        ),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column(
            "counted_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=True
        ),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.ForeignKeyConstraint(["author"], ["user.username"], name=op.f("fk_article_author_user")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_article")),
        sa.UniqueConstraint("slug", name=op.f("uq_article_slug")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("article", schema=None) as batch_op:
        batch_op.create_index(
            "ix_article_author_published_at",
            ["author", "published_at", "id", "language"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_author_updated_at",
            ["author", "listed", "updated_at", "id", "published_at", "language"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_author_views",
            ["author", "listed", "views", "id", "published_at", "language"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_language_published_at",
            ["language", "published_at", "id", "author"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_language_updated_at",
            ["language", "listed", "updated_at", "id", "published_at", "author"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_language_views",
            ["language", "listed", "views", "id", "published_at", "author"],
            unique=False,
        )
        batch_op.create_index("ix_article_published_at", ["published_at", "id"], unique=False)
        batch_op.create_index(
            "ix_article_updated_at", ["listed", "updated_at", "id", "published_at"], unique=False
        )
        batch_op.create_index(
            "ix_article_views", ["listed", "views", "id", "published_at"], unique=False
        )

    op.create_table(
        "article_like",
        sa.Column(
            "article_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("username", sa.String(length=32), nullable=False),
        sa.Column(
            "created_at", sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["article.id"],
            name=op.f("fk_article_like_article_id_article"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["username"], ["user.username"], name=op.f("fk_article_like_username_user")
        ),
        sa.PrimaryKeyConstraint("article_id", "username", name=op.f("pk_article_like")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("article_like", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_article_like_username"), ["username"], unique=False)

    op.create_table(
        "article_tag",
        sa.Column(
            "article_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=32), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column(
            "published_at",
            sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"),
            nullable=True,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql"),
            nullable=False,
        ),
        sa.Column("views", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article_id"],
            ["article.id"],
            name=op.f("fk_article_tag_article_id_article"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("article_id", "name", name=op.f("pk_article_tag")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    with op.batch_alter_table("article_tag", schema=None) as batch_op:
        batch_op.create_index(
            "ix_article_tag_name_published_at",
            ["name", "published_at", "article_id", "language", "author"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_tag_name_updated_at",
            ["name", "listed", "updated_at", "article_id", "published_at", "language", "author"],
            unique=False,
        )
        batch_op.create_index(
            "ix_article_tag_name_views",
            ["name", "listed", "views", "article_id", "published_at", "language", "author"],
            unique=False,
        )


def downgrade() -> None:
    op.drop_table("article_tag")
    op.drop_table("article_like")
    op.drop_table("article")
    op.drop_table("tag_change")
    op.drop_table("tag")
    op.drop_table("article_view")
