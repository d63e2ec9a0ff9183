"""Reads one page of a query: by number with a total, or by cursor at any depth."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, func, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.core.exceptions import ValidationFailed
from app.core.schema import PageQuery, utc

RowT = TypeVar("RowT")

MAX_INTEGER = 2**63 - 1  # of both back ends


@dataclass(frozen=True, slots=True)
class Window(Generic[RowT]):
    """A part of a list, with what leads to its neighbours."""

    items: Sequence[RowT]
    page_size: int
    page: int | None = None
    total: int | None = None
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: descending by `key`, ties broken by the unique `tie`.

    Both columns need one index together for a cursor to stay fast.
    """

    key: InstrumentedAttribute[Any]
    tie: InstrumentedAttribute[Any]
    descending: bool = True

    def by(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """The ORDER BY clause."""
        if self.descending:
            return self.key.desc(), self.tie.desc()
        return self.key.asc(), self.tie.asc()

    def after(self, cursor: str) -> ColumnElement[bool]:
        """The condition for everything that follows the cursor's row."""
        value, tie = decode_cursor(cursor)
        key = self._read(value)
        # Not a row comparison: MySQL reads the whole index for one, and a range for this.
        if self.descending:
            return and_(self.key <= key, or_(self.key < key, self.tie < tie))
        return and_(self.key >= key, or_(self.key > key, self.tie > tie))

    def _read(self, value: Any) -> Any:  # noqa: ANN401  whatever type the column has
        kind = self.key.type.python_type
        try:
            if kind is datetime:
                return utc(datetime.fromisoformat(value))
            if kind is not int or -MAX_INTEGER <= int(value) <= MAX_INTEGER:
                return kind(value)
        except (TypeError, ValueError, OverflowError):
            pass
        raise _bad_cursor()

    def cursor_of(self, row: object) -> str:
        """The cursor that continues behind this row."""
        key = getattr(row, self.key.key)
        return encode_cursor(
            key.isoformat() if isinstance(key, datetime) else key, getattr(row, self.tie.key)
        )


def read_page(
    session: Session, query: Select[RowT], order: Order, wanted: PageQuery
) -> Window[RowT]:
    """Read one page of the query.

    Args:
        session: Where to read.
        query: What to read, filtered but without an order.
        order: The list's total order.
        wanted: Page number or cursor, and size.

    Raises:
        ValidationFailed: The cursor was not made by this list.
    """
    if wanted.cursor is not None:
        return _by_cursor(session, query, order, wanted)
    counted = query.with_only_columns(func.count(), maintain_column_froms=True)
    total = session.scalar(counted) or 0
    offset = (wanted.page - 1) * wanted.page_size
    rows: Sequence[Any] = []
    if offset < total:
        query = query.order_by(*order.by()).limit(wanted.page_size).offset(offset)
        rows = session.scalars(query).all()
    return Window(rows, wanted.page_size, page=wanted.page, total=total)


def _by_cursor(
    session: Session, query: Select[RowT], order: Order, wanted: PageQuery
) -> Window[RowT]:
    if wanted.cursor:
        query = query.where(order.after(wanted.cursor))
    # One row more than asked for tells whether anything follows.
    query = query.order_by(*order.by()).limit(wanted.page_size + 1)
    rows: Sequence[Any] = session.scalars(query).all()
    items = rows[: wanted.page_size]
    more = order.cursor_of(items[-1]) if len(rows) > wanted.page_size else None
    return Window(items, wanted.page_size, next_cursor=more)


def encode_cursor(key: str | float, tie: int) -> str:
    """Write a position so that clients treat it as opaque: URL-safe base64 without padding."""
    raw = json.dumps([key, tie], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[Any, int]:
    """Read what `encode_cursor` wrote.

    Raises:
        ValidationFailed: Anything else came.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key, tie = json.loads(raw)
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None
    if type(key) not in {str, int, float} or type(tie) is not int or not 0 <= tie <= MAX_INTEGER:
        raise _bad_cursor()
    return key, tie


def _bad_cursor() -> ValidationFailed:
    message = "Not a cursor of this list; take next_cursor from an earlier answer."
    return ValidationFailed(
        errors=[{"field": "query.cursor", "message": message, "type": "cursor"}]
    )
