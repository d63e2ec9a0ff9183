"""What every model shares: the base, column types and mixins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Table, event
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

# Migrations change constraints by name, and SQLite and MySQL invent different ones.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

PORTABLE = "portable"
"""Mark, in `MetaData.info`, of tables that are to behave alike on every back end."""

# SQLite numbers rows by itself only in a column called INTEGER, which holds 64 bits there.
Identifier = BigInteger().with_variant(Integer(), "sqlite")
"""The one type of ids. A foreign key needs no type: it takes the one it refers to."""


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A moment: aware in, aware UTC out, to the microsecond.

    Neither back end stores an offset, so a naive value would be a guess; it is refused.
    """

    impl = DateTime
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What a list's cursor is read as; a decorator's own would be `object`."""
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep microseconds on MySQL, whose plain DATETIME rounds to seconds."""
        precise = mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime()
        return dialect.type_descriptor(precise)

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect  # noqa: ARG002  SQLAlchemy's signature
    ) -> datetime | None:
        """Turn an aware value into the naive UTC that is stored."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime has no place in time; use utc_now() or give it a tzinfo"
            raise ValueError(msg)
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: datetime | None, dialect: Dialect  # noqa: ARG002  the same
    ) -> datetime | None:
        """Say that what is stored is UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of every model; `Mapped[datetime]` is a `UTCDateTime`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION, info={PORTABLE: True})
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime()}


@event.listens_for(Table, "after_parent_attach")
def _set_table_options(table: Table, metadata: MetaData) -> None:
    """Give a table the options that make the back ends alike.

    An event and not `__table_args__`, because a model that declares its own would lose them.
    `utf8mb4_bin` compares by code point as SQLite does, and exists on MySQL and MariaDB; unlike
    SQLite it ignores trailing spaces, so names are stripped before they are stored.
    """
    if not metadata.info.get(PORTABLE):
        return
    table.kwargs.setdefault("mysql_engine", "InnoDB")
    table.kwargs.setdefault("mysql_charset", "utf8mb4")
    table.kwargs.setdefault("mysql_collate", "utf8mb4_bin")
    if "id" in table.primary_key and len(table.primary_key) == 1:
        # Otherwise SQLite gives the id of a deleted last row to the next one, and whatever still
        # names it (a token, a cache key, an event) means somebody else.
        table.kwargs["sqlite_autoincrement"] = True


class Identified:
    """A model with the project's one kind of id, never used twice."""

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, sort_order=-10)


def _created_at(context: DefaultExecutionContext) -> Any:  # noqa: ANN401  SQLAlchemy's own type
    parameters = context.get_current_parameters()  # type: ignore[no-untyped-call]  # untyped there
    return parameters["created_at"]


class Timestamps:
    """A model that knows when it was made and last changed; equal until the first change."""

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now, sort_order=10)
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=_created_at, onupdate=utc_now, sort_order=11
    )


class Versioned:
    """A model that counts its changes, so that a write on an outdated copy fails.

    Only changes through the session are counted: an `update()` statement adds one by itself.
    """

    version: Mapped[int] = mapped_column(Integer, sort_order=9)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}
