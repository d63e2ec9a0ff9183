"""Move notifications to the framework's table

Revision: 1795781400_notification
Follows: 1795742999_notification
Made: 2026-11-27 12:10:00
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "1795781400_notification"
down_revision = "1795742999_notification"
branch_labels = None
depends_on = ("1795742999_user", "1795781500_strongback")

user = sa.table("user", sa.column("id"), sa.column("username"))
old = sa.table(
    "notification",
    *map(
        sa.column,
        ("id", "recipient", "kind", "subject", "actor", "data", "created_at", "read_at"),
    ),
)
new = sa.table("sb_notification", *map(sa.column, (*old.c.keys(), "listed")))


def upgrade() -> None:
    # The framework knows accounts by their ids.
    rows = sa.select(
        *(user.c.id if each is old.c.recipient else each for each in old.c), sa.true()
    ).join_from(old, user, old.c.recipient == user.c.username)
    op.execute(new.insert().from_select([*old.c.keys(), "listed"], rows))
    op.drop_table("notification")


def downgrade() -> None:
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

    changed = {"recipient": user.c.username, "actor": sa.func.coalesce(new.c.actor, "")}
    rows = (
        sa.select(*(changed.get(name, new.c[name]) for name in old.c.keys()))
        .join_from(new, user, new.c.recipient == user.c.id)
        .where(new.c.listed == sa.true())
    )
    op.execute(old.insert().from_select(old.c.keys(), rows))
    op.execute(new.delete())
