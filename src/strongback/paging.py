"""Reads one page of a list: by number with a total, or by cursor at any depth.

Whatever the size of the list, a page costs the reading of one index from one place on:

- first the places (sort key and number) of the entries, from the index alone, then the entries;
- what follows a cursor is two ranges: entries of the same key with a further number, and those
  with a further key. One condition for both reads all entries of the key again;
- totals and page numbers reach `DEPTH` entries and say so;
- a condition that the index does not answer is asked of `DEPTH` entries at most. What is found
  among them is the part, and its cursor goes on behind them.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Row, Select, Subquery, func, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session

from strongback.exceptions import ValidationFailed
from strongback.schema import PageQuery, utc

RowT = TypeVar("RowT")
Place = Row[*tuple[Any, ...]]
"""Sort key and number of an entry."""

MAX_INTEGER = 2**63 - 1  # of both back ends
DEPTH = 10_000
"""Entries that page numbers and totals reach, and that are looked at for one part."""
FIRST_LOOK = 200
"""Entries that are looked at before `DEPTH`: nearly always enough for a part."""


@dataclass(frozen=True, slots=True)
class Window(Generic[RowT]):
    """A part of a list, with what leads to its neighbours."""

    items: Sequence[RowT]
    page_size: int
    page: int | None = None
    total: int | None = None
    next_cursor: str | None = None
    total_is_bounded: bool = False
    """Whether there are more than `total`, which were not counted."""


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: descending by `key`, ties broken by the unique `tie`.

    One index has to begin with the columns of the list's filter and go on with these two.
    """

    key: InstrumentedAttribute[Any]
    tie: InstrumentedAttribute[Any]
    descending: bool = True

    def by(self, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        """The ORDER BY clause, where the two columns may go by another name."""
        both = columns or (self.key, self.tie)
        return [column.desc() if self.descending else column.asc() for column in both]

    def ranges(
        self, cursor: str | None, upto: Any = None  # noqa: ANN401  a key
    ) -> list[ColumnElement[bool]]:
        """The ranges of what follows the cursor's entry, the nearest first.

        One bound each: of two that say the same, SQLite may take the one that lets it read all.

        Args:
            cursor: Where to go on; without one there is one range.
            upto: The greatest key of the list, where it has one.
        """
        below = true() if upto is None else self.key <= upto
        if not cursor:
            return [below]
        value, number = decode_cursor(cursor)
        key = self._read(value)
        if upto is not None and key > upto:
            return [below] if self.descending else []
        further = self.key < key if self.descending else (self.key > key) & below
        if self.key is self.tie:
            return [further]
        next_ = self.tie < number if self.descending else self.tie > number
        return [(self.key == key) & next_, further]

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


@dataclass(frozen=True, slots=True)
class Walk:
    """One way through a list: along an index that has its filter and its order.

    A list with several filters has several ways; the shortest is taken.
    """

    order: Order
    where: Sequence[ColumnElement[bool]] = ()
    """What the index answers: equality of its first columns."""
    upto: Any = None
    """The greatest key of the list, where it has one."""
    carried: Sequence[InstrumentedAttribute[Any]] = ()
    """Further columns of the index, which `sift` looks at."""
    sift: Callable[[Subquery], Iterable[ColumnElement[bool]]] | None = None
    """What is asked of each entry on the way; gets rows of `tie` and the carried columns."""
    index: str | None = None
    """The index, where several begin with the same columns: MySQL and MariaDB are told which one,
    since they like to take another and to sort all it finds."""

    def places(self, within: ColumnElement[bool] | None = None) -> Select[*tuple[Any, ...]]:
        """The places in their order, before anything is sifted.

        Args:
            within: A range; everything without.
        """
        key, tie = self.order.key.label("sort_key"), self.order.tie.label("tie")
        query = select(key, tie, *self.carried)
        if self.index is not None:
            query = query.with_hint(self.order.key.class_, f"FORCE INDEX ({self.index})", "mysql")
        if within is None:
            (within,) = self.order.ranges(None, self.upto)
        return query.where(within, *self.where).order_by(*self.order.by())

    def sifted(self, places: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """Those of a limited number of places that are wanted, in the same order."""
        if self.sift is None:
            return places
        seen = places.subquery("seen")
        key, tie = seen.c.sort_key, seen.c.tie
        query = select(key, tie).where(*self.sift(seen))
        return query.order_by(*self.order.by(key, tie))


def read_page(
    session: Session,
    query: Select[RowT],
    order: Order,
    wanted: PageQuery,
    *,
    index: str | None = None,
) -> Window[RowT]:
    """Read one page of a query that one index answers in its order.

    Args:
        session: Where to read.
        query: What to read, filtered but without an order.
        order: The list's total order.
        wanted: Page number or cursor, and size.
        index: That index, where several begin with the same columns.

    Raises:
        ValidationFailed: The cursor was not made by this list, or the page is too far.
    """
    where = () if query.whereclause is None else (query.whereclause,)
    return walk_page(session, query, [Walk(order, where, index=index)], wanted)


def walk_page(
    session: Session, query: Select[RowT], walks: Sequence[Walk], wanted: PageQuery
) -> Window[RowT]:
    """Read one page of a list.

    Args:
        session: Where to read.
        query: The model, and what holds for every entry of the list.
        walks: The ways that lead through this list.
        wanted: Page number or cursor, and size.

    Raises:
        ValidationFailed: The cursor was not made by this list, or the page is too far.
    """
    size = wanted.page_size
    offset = (wanted.page - 1) * size
    if wanted.cursor is None and offset >= DEPTH:
        raise _too_far()
    walk = _shortest(session, walks)
    if wanted.cursor is not None:
        places, more = _follow(session, walk, wanted.cursor, size)
        return Window(_load(session, query, places), size, next_cursor=more)
    total, is_bounded = _count(session, walk)
    places = _at(session, walk, offset, size) if offset < total else []
    items = _load(session, query, places)
    return Window(items, size, page=wanted.page, total=total, total_is_bounded=is_bounded)


def _shortest(session: Session, walks: Sequence[Walk]) -> Walk:
    if len(walks) == 1:
        return walks[0]
    return min(walks, key=lambda walk: _size(session, walk.places().limit(DEPTH + 1)))


def _size(session: Session, places: Select[*tuple[Any, ...]]) -> int:
    return session.scalar(select(func.count()).select_from(places.subquery())) or 0


def _count(session: Session, walk: Walk) -> tuple[int, bool]:
    """Count at most `DEPTH`; also tells whether something lies behind."""
    if walk.sift is None:  # one more tells it: the way is gone once
        total = _size(session, walk.places().limit(DEPTH + 1))
        return min(total, DEPTH), total > DEPTH
    total = _size(session, walk.sifted(walk.places().limit(DEPTH)))
    behind = session.execute(walk.places().offset(DEPTH).limit(1)).first()
    return total, behind is not None


def _at(session: Session, walk: Walk, offset: int, size: int) -> Sequence[Place]:
    places = walk.places() if walk.sift is None else walk.places().limit(DEPTH)
    return session.execute(walk.sifted(places).limit(size).offset(offset)).all()


def _follow(
    session: Session, walk: Walk, cursor: str, size: int
) -> tuple[Sequence[Place], str | None]:
    ranges = walk.order.ranges(cursor, walk.upto)
    # One more than asked for tells whether anything follows.
    wanted, end = size + 1, None
    found: list[Place] = []
    for look in (FIRST_LOOK, DEPTH):
        found, end = _look(session, walk, ranges, wanted, look)
        if len(found) == wanted or end is None:
            break
    if len(found) == wanted:
        end = found[size - 1]
    return found[:size], None if end is None else encode_cursor(end.sort_key, end.tie)


def _look(
    session: Session,
    walk: Walk,
    ranges: Sequence[ColumnElement[bool]],
    wanted: int,
    look: int,
) -> tuple[list[Place], Place | None]:
    """Find this many places; also tells the last one looked at, if it was not the list's end."""
    found: list[Place] = []
    for within in ranges:
        missing = wanted - len(found)
        places = walk.places(within)
        seen = places.limit(missing if walk.sift is None else look)
        found += session.execute(walk.sifted(seen).limit(missing)).all()
        if len(found) == wanted:
            break
        if walk.sift is not None:
            last = session.execute(places.offset(look - 1).limit(1)).first()
            if last is not None:
                return found, last
    return found, None


def _load(session: Session, query: Select[RowT], places: Sequence[Place]) -> list[RowT]:
    """Read the entries of these places; one that has ceased to belong here is left out."""
    if not places:
        return []
    model: Any = query.column_descriptions[0]["entity"]
    numbers = [place.tie for place in places]
    rows: Iterable[Any] = session.scalars(query.where(model.id.in_(numbers)))
    by_number = {row.id: row for row in rows}
    return [by_number[number] for number in numbers if number in by_number]


def encode_cursor(key: datetime | str | float, tie: int) -> str:
    """Write a position so that clients treat it as opaque: URL-safe base64 without padding."""
    written = key.isoformat() if isinstance(key, datetime) else key
    raw = json.dumps([written, tie], separators=(",", ":")).encode()
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


def _too_far() -> ValidationFailed:
    message = "Page numbers end with the entry 10,000; read on by cursor, from an empty cursor= on."
    return ValidationFailed(errors=[{"field": "query.page", "message": message, "type": "page"}])
