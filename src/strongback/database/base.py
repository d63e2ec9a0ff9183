"""The base of all models, column types and mixins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, Table, event
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

# Migrations refer to constraints by name; by default SQLite and MySQL choose different ones.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

PORTABLE = "portable"
"""Marks, in `MetaData.info`, tables that behave alike on all back ends."""

# SQLite assigns ids only in columns of type INTEGER, which have 64 bits there.
Identifier = BigInteger().with_variant(Integer(), "sqlite")
"""The type of ids. A foreign key needs no type: it has that of the referenced column."""


def utc_now() -> datetime:
    """Return the current time in UTC, timezone-aware."""
    return datetime.now(UTC)


class UTCDateTime(TypeDecorator[datetime]):
    """A timezone-aware datetime, stored in UTC with microseconds.

    The back ends store no offset, so naive values are refused.
    """

    impl = DateTime
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """The type of values in cursors of lists."""
        return datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep microseconds on MySQL, whose plain DATETIME rounds to seconds."""
        precise = mysql.DATETIME(fsp=6) if dialect.name == "mysql" else DateTime()
        return dialect.type_descriptor(precise)

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect  # noqa: ARG002  SQLAlchemy's signature
    ) -> datetime | None:
        """Convert an aware value to naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime has no place in time; use utc_now() or give it a tzinfo"
            raise ValueError(msg)
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(
        self, value: datetime | None, dialect: Dialect  # noqa: ARG002  the same
    ) -> datetime | None:
        """Convert a stored value to aware UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of all models; `Mapped[datetime]` is a `UTCDateTime`."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION, info={PORTABLE: True})
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UTCDateTime()}


@event.listens_for(Table, "after_parent_attach")
def _set_table_options(table: Table, metadata: MetaData) -> None:
    """Set the options of a table that make the back ends behave alike.

    In an event, because `__table_args__` of a model would replace them. `utf8mb4_bin` compares by
    code point, as SQLite does, on MySQL and MariaDB alike; unlike SQLite it ignores trailing
    spaces, so names are stripped before they are stored.
    """
    if not metadata.info.get(PORTABLE):
        return
    table.kwargs.setdefault("mysql_engine", "InnoDB")
    table.kwargs.setdefault("mysql_charset", "utf8mb4")
    table.kwargs.setdefault("mysql_collate", "utf8mb4_bin")
    if "id" in table.primary_key and len(table.primary_key) == 1:
        # Otherwise SQLite reuses the id of a deleted last row, and whatever still has that id (a
        # token, a cache key, an event) would refer to another row.
        table.kwargs["sqlite_autoincrement"] = True


class Identified:
    """A model with an id that is never reused."""

    id: Mapped[int] = mapped_column(Identifier, primary_key=True, sort_order=-10)


def _created_at(context: DefaultExecutionContext) -> Any:  # noqa: ANN401  SQLAlchemy's own type
    parameters = context.get_current_parameters()  # type: ignore[no-untyped-call]  # untyped there
    return parameters["created_at"]


class Timestamps:
    """A model with the times of creation and last change, equal until the first change."""

    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=utc_now, sort_order=10)
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=_created_at, onupdate=utc_now, sort_order=11
    )


class Versioned:
    """A model with a version, so that a write to an outdated copy fails.

    The session increments it; an `update()` statement must do so itself.
    """

    version: Mapped[int] = mapped_column(Integer, sort_order=9)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.version}
