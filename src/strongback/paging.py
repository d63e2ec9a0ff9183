"""Reads one part of a list: a page with a total, or what follows a cursor, at any depth.

Whatever the size of the list, a part costs one scan of an index:

- first the positions (sort key and id) of the entries, from the index alone, then the entries;
- what follows a cursor is two ranges: the entries with the same key and a later id, and those with
  a later key. One condition for both would read all entries of the key again;
- totals and page numbers end at `DEPTH` entries, and say so;
- a condition that is not covered by the index is applied to `DEPTH` entries at most. The part has
  those that match, and its cursor continues after the last one examined.
"""

from __future__ import annotations

import base64
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
"""Sort key and id of an entry."""

MAX_INTEGER = 2**63 - 1  # of both back ends
DEPTH = 10_000
"""Entries covered by page numbers and totals, and examined for one part."""
FIRST_LOOK = 200
"""Entries examined first, before `DEPTH`: nearly always enough for a part."""


@dataclass(frozen=True, slots=True)
class Window(Generic[RowT]):
    """A part of a list, with its position."""

    items: Sequence[RowT]
    page_size: int
    page: int | None = None
    total: int | None = None
    next_cursor: str | None = None
    total_is_bounded: bool = False
    """Whether the list has more than `total` entries."""


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: by `key`, then by the unique `tie`.

    An index must begin with the columns of the list's filter, followed by these two.
    """

    key: InstrumentedAttribute[Any]
    tie: InstrumentedAttribute[Any]
    descending: bool = True

    def by(self, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
        """The ORDER BY clause, also of columns with other names."""
        both = columns or (self.key, self.tie)
        return [column.desc() if self.descending else column.asc() for column in both]

    def ranges(
        self, cursor: str | None, upto: Any = None  # noqa: ANN401  a key
    ) -> list[ColumnElement[bool]]:
        """The ranges of entries after a cursor, the nearest first.

        Each has one bound: of two equivalent ones, SQLite may choose the one that reads everything.

        Args:
            cursor: The cursor; without one, there is one range.
            upto: The greatest key of the list, if any.
        """
        below = true() if upto is None else self.key <= upto
        if not cursor:
            return [below]
        value, tie = decode_cursor(cursor)
        key = self._read(value)
        if upto is not None and key > upto:
            return [below] if self.descending else []
        further = self.key < key if self.descending else (self.key > key) & below
        if self.key is self.tie:
            return [further]
        next_ = self.tie < tie if self.descending else self.tie > tie
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
    """A scan of a list along an index that covers its filter and its order.

    A list with several filters has several scans; the shortest is chosen.
    """

    order: Order
    where: Sequence[ColumnElement[bool]] = ()
    """Conditions covered by the index: equality of its first columns."""
    upto: Any = None
    """The greatest key of the list, if any."""
    carried: Sequence[InstrumentedAttribute[Any]] = ()
    """Further columns of the index, used by `sift`."""
    sift: Callable[[Subquery], Iterable[ColumnElement[bool]]] | None = None
    """Returns further conditions, on rows of `tie` and the carried columns."""
    index: str | None = None
    """The index, if several begin with the same columns: MySQL and MariaDB are told which one to
    use, since they may choose another and sort all of its rows."""

    def places(self, within: ColumnElement[bool] | None = None) -> Select[*tuple[Any, ...]]:
        """The positions in their order, before `sift`; of the whole list, or within a range."""
        key, tie = self.order.key.label("sort_key"), self.order.tie.label("tie")
        query = select(key, tie, *self.carried)
        if self.index is not None:
            query = query.with_hint(self.order.key.class_, f"FORCE INDEX ({self.index})", "mysql")
        if within is None:
            (within,) = self.order.ranges(None, self.upto)
        return query.where(within, *self.where).order_by(*self.order.by())

    def sifted(self, places: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
        """The positions that pass `sift`, in the same order."""
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
    """Read one part of a query whose filter and order are covered by an index.

    The query is not ordered. The index is named where several begin with the same columns.

    Raises:
        ValidationFailed: The cursor is invalid, or the page is too far.
    """
    where = () if query.whereclause is None else (query.whereclause,)
    return walk_page(session, query, [Walk(order, where, index=index)], wanted)


def walk_page(
    session: Session, query: Select[RowT], walks: Sequence[Walk], wanted: PageQuery
) -> Window[RowT]:
    """Read one part of a list, by the shortest of its possible scans.

    The query has the model, and the conditions for all entries of the list.

    Raises:
        ValidationFailed: The cursor is invalid, or the page is too far.
    """
    size = wanted.page_size
    offset = (wanted.page - 1) * size
    if wanted.cursor is None and offset >= DEPTH:
        message = (
            "Pages end at entry 10,000; use cursor to read further, starting with an empty one."
        )
        raise _refused("page", message)
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
    """Count up to `DEPTH`; also tells whether there are more."""
    if walk.sift is None:  # one more tells whether there are more
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
    # One more than requested tells whether anything follows.
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
    session: Session, walk: Walk, ranges: Sequence[ColumnElement[bool]], wanted: int, look: int
) -> tuple[list[Place], Place | None]:
    """Find a number of positions; also returns the last one examined, unless at the list's end."""
    found: list[Place] = []
    for within in ranges:
        missing, places = wanted - len(found), walk.places(within)
        seen = places.limit(missing if walk.sift is None else look)
        found += session.execute(walk.sifted(seen).limit(missing)).all()
        if len(found) == wanted:
            break
        if walk.sift is not None and (
            last := session.execute(places.offset(look - 1).limit(1)).first()
        ):
            return found, last
    return found, None


def _load(session: Session, query: Select[RowT], places: Sequence[Place]) -> list[RowT]:
    """Read the entries of positions, without those that were deleted meanwhile."""
    if not places:
        return []
    model: Any = query.column_descriptions[0]["entity"]
    ids = [place.tie for place in places]
    rows: Iterable[Any] = session.scalars(query.where(model.id.in_(ids)))
    by_id = {row.id: row for row in rows}
    return [by_id[each] for each in ids if each in by_id]


def encode_cursor(key: datetime | str | float, tie: int) -> str:
    """Encode a position as URL-safe base64 without padding."""
    written = key.isoformat() if isinstance(key, datetime) else key
    raw = json.dumps([written, tie], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[Any, int]:
    """Decode a cursor, or raise `ValidationFailed`."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        key, tie = json.loads(raw)
    except (ValueError, TypeError, RecursionError):
        raise _bad_cursor() from None
    if type(key) not in {str, int, float} or type(tie) is not int or not 0 <= tie <= MAX_INTEGER:
        raise _bad_cursor()
    return key, tie


def _bad_cursor() -> ValidationFailed:
    message = "Not a cursor of this list; take next_cursor from a previous response."
    return _refused("cursor", message)


def _refused(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(errors=[{"field": f"query.{name}", "message": message, "type": name}])
