"""Index lists by filter and order, and keep counts of tags

Revision: 1795726800
Follows: 1795725900
Made: 2026-11-26 21:00:00.000000
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795726800"
down_revision = "1795725900"
branch_labels = ()
depends_on = None

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
IDENTIFIER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLE = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}
INDEXES = {
    "ix_article_published_at": ("article", ["published_at", "id"]),
    "ix_article_updated_at": ("article", ["listed", "updated_at", "id", "published_at"]),
    "ix_article_views": ("article", ["listed", "views", "id", "published_at"]),
    "ix_article_language_published_at": (
        "article",
        ["language", "published_at", "id", "author"],
    ),
    "ix_article_language_updated_at": (
        "article",
        ["language", "listed", "updated_at", "id", "published_at", "author"],
    ),
    "ix_article_language_views": (
        "article",
        ["language", "listed", "views", "id", "published_at", "author"],
    ),
    "ix_article_author_published_at": ("article", ["author", "published_at", "id", "language"]),
    "ix_article_author_updated_at": (
        "article",
        ["author", "listed", "updated_at", "id", "published_at", "language"],
    ),
    "ix_article_author_views": (
        "article",
        ["author", "listed", "views", "id", "published_at", "language"],
    ),
    "ix_article_tag_name_published_at": (
        "article_tag",
        ["name", "published_at", "article_id", "language", "author"],
    ),
    "ix_article_tag_name_updated_at": (
        "article_tag",
        ["name", "listed", "updated_at", "article_id", "published_at", "language", "author"],
    ),
    "ix_article_tag_name_views": (
        "article_tag",
        ["name", "listed", "views", "article_id", "published_at", "language", "author"],
    ),
}
FORMER = {
    "ix_article_published_at_id": ("article", ["published_at", "id"]),
    "ix_article_updated_at_id": ("article", ["updated_at", "id"]),
    "ix_article_views_id": ("article", ["views", "id"]),
    "ix_article_language": ("article", ["language"]),
    "ix_article_author": ("article", ["author"]),
    "ix_article_tag_name_article_id": ("article_tag", ["name", "article_id"]),
}


def upgrade() -> None:
    op.create_table(
        "tag",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("articles", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tag")),
        **TABLE,
    )
    op.create_table(
        "tag_change",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag_change")),
        sqlite_autoincrement=True,
        **TABLE,
    )
    # With defaults, so that no back end writes a table anew for them.
    op.add_column("article", sa.Column("listed", sa.Boolean(), nullable=False, server_default="1"))
    for column in (
        sa.Column("language", sa.String(length=16), nullable=False, server_default="-"),
        sa.Column("author", sa.String(length=32), nullable=False, server_default="-"),
        sa.Column("listed", sa.Boolean(), nullable=False, server_default="0"),
        sa.Column("published_at", MOMENT, nullable=True),
        sa.Column(
            "updated_at", MOMENT, nullable=False, server_default="1970-01-01 00:00:00.000000"
        ),
        sa.Column("views", sa.Integer(), nullable=False, server_default="0"),
    ):
        op.add_column("article_tag", column)
    _copy()
    op.create_index("ix_tag_articles_name", "tag", [sa.column("articles").desc(), "name"])
    op.create_index(op.f("ix_tag_change_due_at"), "tag_change", ["due_at"])
    # The new ones first: on MySQL a foreign key needs one that begins with its column.
    for name, (table, columns) in INDEXES.items():
        op.create_index(name, table, columns)
    for name, (table, _) in FORMER.items():
        op.drop_index(name, table)
    _count()


def _copy() -> None:
    article = sa.table(
        "article",
        *(sa.column(name) for name in ("id", "language", "author", "views")),
        sa.column("listed", sa.Boolean()),
        sa.column("published_at", MOMENT),
        sa.column("updated_at", MOMENT),
    )
    tagged = _tagged()
    # The few, and not the many: their rows hold the texts.
    op.execute(article.update().values(listed=sa.false()).where(article.c.published_at.is_(None)))
    copied = ("language", "author", "listed", "published_at", "updated_at", "views")
    op.execute(
        tagged.update()
        .where(tagged.c.article_id == article.c.id)
        .values({tagged.c[name]: article.c[name] for name in copied})
    )


def _count() -> None:
    tagged = _tagged()
    tag = sa.table("tag", sa.column("name"), sa.column("articles"))
    change = sa.table("tag_change", sa.column("name"), sa.column("step"), sa.column("due_at"))
    now = (
        sa.func.utc_timestamp()
        if op.get_bind().dialect.name == "mysql"
        else sa.func.datetime("now")
    )
    public = sa.select(tagged.c.name, sa.func.count()).where(tagged.c.published_at <= now)
    op.execute(tag.insert().from_select(["name", "articles"], public.group_by(tagged.c.name)))
    ahead = sa.select(tagged.c.name, sa.literal(1), tagged.c.published_at)
    op.execute(
        change.insert().from_select(
            ["name", "step", "due_at"], ahead.where(tagged.c.published_at > now)
        )
    )


def _tagged() -> sa.TableClause:
    return sa.table(
        "article_tag",
        *(sa.column(name) for name in ("article_id", "name", "language", "author", "views")),
        sa.column("listed", sa.Boolean()),
        sa.column("published_at", MOMENT),
        sa.column("updated_at", MOMENT),
    )


def downgrade() -> None:
    for name, (table, columns) in FORMER.items():
        op.create_index(name, table, columns)
    for name, (table, _) in INDEXES.items():
        op.drop_index(name, table)
    with op.batch_alter_table("article_tag") as batch:
        for name in ("language", "author", "listed", "published_at", "updated_at", "views"):
            batch.drop_column(name)
    with op.batch_alter_table("article") as batch:
        batch.drop_column("listed")
    op.drop_table("tag_change")
    op.drop_table("tag")
