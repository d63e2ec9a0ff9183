from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Index, MetaData, Subquery, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from strongback.config import Settings
from strongback.database import Database, Identified, UTCDateTime
from strongback.exceptions import ValidationFailed
from strongback.paging import (
    DEPTH,
    Order,
    Walk,
    Window,
    decode_cursor,
    encode_cursor,
    read_page,
    walk_page,
)
from strongback.schema import PageQuery
from strongback.testing import empty

pytestmark = pytest.mark.speaks_sql

START = datetime(2026, 1, 1, tzinfo=UTC)


class Sandbox(DeclarativeBase):
    metadata = MetaData()


class Note(Identified, Sandbox):
    __tablename__ = "paging_note"
    __table_args__ = (Index(None, "written_at", "id"), Index(None, "stars", "id"))

    written_at: Mapped[datetime] = mapped_column(UTCDateTime)
    stars: Mapped[int] = mapped_column(default=0)


NEWEST = Order(Note.written_at, Note.id)
OLDEST = Order(Note.written_at, Note.id, descending=False)
MOST_STARS = Order(Note.stars, Note.id)
BY_ID = Order(Note.id, Note.id, descending=False)
ORDERS = [NEWEST, OLDEST, MOST_STARS, BY_ID]
NAMES = ["newest", "oldest", "most-stars", "by-id"]


@pytest.fixture
def notes(settings: Settings, database_url: str) -> Iterator[Database]:
    """A database with an empty table of notes, and a scope to read them in."""
    settings = settings.model_copy(update={"database_url": database_url})
    database = Database(settings)
    if not settings.is_sqlite:
        Sandbox.metadata.drop_all(database.engine)  # with the numbers that were given away
    empty(database, Sandbox.metadata)
    with database.scope():
        yield database
    database.close()


def add(notes: Database, *minutes: int, stars: int = 0) -> None:
    """Add a note for each minute after the start."""
    rows = [Note(written_at=START + timedelta(minutes=minute), stars=stars) for minute in minutes]
    notes.transact(lambda session: session.add_all(rows))


def read(notes: Database, order: Order = NEWEST, **wanted: Any) -> Window[Note]:
    return read_page(notes.session, select(Note), order, PageQuery(**wanted))


def walk(notes: Database, order: Order, size: int) -> Iterator[list[int]]:
    """The ids of every part, from cursor to cursor."""
    cursor: str | None = ""
    while cursor is not None:
        window = read(notes, order, cursor=cursor, page_size=size)
        yield [note.id for note in window.items]
        cursor = window.next_cursor


def all_ids(notes: Database, order: Order) -> list[int]:
    return list(notes.session.scalars(select(Note.id).order_by(*order.by())))


def forge(*parts: Any) -> str:
    """A cursor of anything, written as the real ones are."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).rstrip(b"=").decode()


class TestPage:
    def test_has_its_entries_and_the_total(self, notes):
        add(notes, *range(5))
        window = read(notes, page=2, page_size=2)
        assert [note.written_at.minute for note in window.items] == [2, 1]
        assert (window.page, window.page_size, window.total) == (2, 2, 5)
        assert window.next_cursor is None

    def test_the_last_may_be_short(self, notes):
        add(notes, *range(5))
        assert len(read(notes, page=3, page_size=2).items) == 1

    def test_behind_the_last_is_empty(self, notes):
        add(notes, 1)
        window = read(notes, page=100, page_size=100)
        assert (window.items, window.total) == ([], 1)

    def test_of_nothing_is_empty(self, notes):
        window = read(notes)
        assert (window.items, window.total) == ([], 0)

    @pytest.mark.parametrize("order", ORDERS, ids=NAMES)
    def test_pages_together_are_the_list(self, notes, order):
        """Ties do not let an entry appear twice or never."""
        add(notes, *[1] * 7, 2, 2, 3)
        pages = [read(notes, order, page=page, page_size=3).items for page in range(1, 5)]
        assert [note.id for page in pages for note in page] == all_ids(notes, order)

    def test_total_counts_what_the_filter_leaves(self, notes):
        add(notes, *range(5))
        add(notes, *range(3), stars=1)
        query = select(Note).where(Note.stars == 1)
        assert read_page(notes.session, query, NEWEST, PageQuery()).total == 3


class TestCursor:
    @pytest.mark.parametrize("order", ORDERS, ids=NAMES)
    def test_parts_together_are_the_list(self, notes, order):
        add(notes, *[1] * 4, 2, 2, 3, *[4] * 3)
        for size in (1, 2, 3, 10, 100):
            parts = list(walk(notes, order, size))
            assert [number for part in parts for number in part] == all_ids(notes, order), size

    def test_all_entries_of_one_instant_are_walked(self, notes):
        add(notes, *[1] * 9)
        parts = list(walk(notes, NEWEST, 2))
        assert [len(part) for part in parts] == [2, 2, 2, 2, 1]

    def test_ends_where_the_list_does(self, notes):
        """A last part that is exactly full leads nowhere."""
        add(notes, *range(4))
        assert [len(part) for part in walk(notes, NEWEST, 2)] == [2, 2]

    def test_of_nothing_is_empty(self, notes):
        window = read(notes, cursor="")
        assert (window.items, window.next_cursor, window.total) == ([], None, None)

    def test_wins_over_the_page(self, notes):
        add(notes, *range(4))
        window = read(notes, cursor="", page=2, page_size=2)
        assert [note.written_at.minute for note in window.items] == [3, 2]

    def test_what_is_added_in_front_moves_nothing(self, notes):
        """The reader of a feed sees each older entry once, whatever is written meanwhile."""
        add(notes, *range(10))
        expected = all_ids(notes, NEWEST)
        seen = []
        for part in walk(notes, NEWEST, 3):
            seen += part
            add(notes, 30, 31, 32, 33)
        assert seen == expected

    def test_what_is_deleted_does_not_break_it(self, notes):
        """The entry that the cursor names may be gone."""
        add(notes, *range(6))
        window = read(notes, page_size=2, cursor="")
        last = window.items[-1].id
        notes.transact(lambda session: session.delete(session.get(Note, last)))
        following = read(notes, page_size=2, cursor=window.next_cursor)
        assert [note.written_at.minute for note in following.items] == [3, 2]

    def test_keeps_microseconds(self, notes):
        moment = START + timedelta(microseconds=1)
        rows = [Note(written_at=moment + timedelta(microseconds=number)) for number in range(4)]
        notes.transact(lambda session: session.add_all(rows))
        assert [len(part) for part in walk(notes, NEWEST, 1)] == [1, 1, 1, 1]

    def test_is_safe_in_an_address(self):
        cursor = encode_cursor("2026-01-01T00:00:00+00:00", 2**62)
        assert cursor.replace("-", "").replace("_", "").isalnum()

    @pytest.mark.parametrize("key", ["2026-01-01", "", "ü", 0, -1, 1.5])
    def test_is_read_as_it_was_written(self, key):
        assert decode_cursor(encode_cursor(key, 7)) == (key, 7)


HOSTILE = [
    "x",
    "====",
    "!!!!",
    "null",
    "中文",
    "\x00",
    " ",
    "\n",
    "a" * 512,
    "A" * 511,
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    base64.urlsafe_b64encode(b"[" * 300).decode(),
    base64.urlsafe_b64encode(b"9" * 380).decode(),
    forge(),
    forge(1),
    forge(1, 2, 3),
    forge(None, 1),
    forge(True, 1),
    forge([], 1),
    forge({}, 1),
    forge("2026-01-01T00:00:00+00:00", None),
    forge("2026-01-01T00:00:00+00:00", "1"),
    forge("2026-01-01T00:00:00+00:00", 1.0),
    forge("2026-01-01T00:00:00+00:00", True),
    forge("2026-01-01T00:00:00+00:00", -1),
    forge("2026-01-01T00:00:00+00:00", 2**63),
    forge("2026-01-01T00:00:00+00:00", 10**300),
    base64.urlsafe_b64encode(b'{"a":1,"b":2}').decode(),
    base64.urlsafe_b64encode(b'"ab"').decode(),
]
KEYS = [
    "",
    "x",
    "yesterday",
    "2026-13-01",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "\x00",
    "1; DROP TABLE paging_note",
    1.5,
    10**300,
    -(10**300),
    2**63,
    -(2**63) - 1,
    float("inf"),
    float("-inf"),
    float("nan"),
    1e308,
]


class TestHostileCursor:
    @pytest.mark.parametrize("cursor", HOSTILE, ids=range(len(HOSTILE)))
    def test_is_refused_as_a_wrong_field(self, cursor):
        with pytest.raises(ValidationFailed) as caught:
            decode_cursor(cursor)
        assert [error["field"] for error in caught.value.errors] == ["query.cursor"]

    @pytest.mark.parametrize("order", [NEWEST, MOST_STARS, BY_ID], ids=["time", "number", "id"])
    def test_a_key_of_another_kind_is_refused_or_harmless(self, notes, order, subtests):
        """The list never fails for it, and what it answers is a part of the list."""
        add(notes, 1, 2)
        for key in KEYS:
            with subtests.test(key=key), suppress(ValidationFailed):
                assert len(read(notes, order, cursor=forge(key, 1)).items) <= 2

    def test_a_cursor_of_another_list_is_refused(self, notes):
        add(notes, 1, 2, 3)
        cursor = read(notes, BY_ID, cursor="", page_size=1).next_cursor
        with pytest.raises(ValidationFailed):
            read(notes, NEWEST, cursor=cursor)


def is_three_stars(seen: Subquery) -> list[ColumnElement[bool]]:
    return [seen.c.stars == 3]


SIFTED = Walk(NEWEST, carried=[Note.stars], sift=is_three_stars)
"""All notes by age, of which those with three stars are wanted."""


def add_many(notes: Database, *stars: int) -> None:
    """Add notes a second apart, with as many stars as is said of each, the oldest first."""
    rows = [
        {"written_at": START + timedelta(seconds=second), "stars": number}
        for second, number in enumerate(stars)
    ]
    notes.transact(lambda session: session.execute(insert(Note), rows))


def read_walk(notes: Database, *walks: Walk, **wanted: Any) -> Window[Note]:
    return walk_page(notes.session, select(Note), walks, PageQuery(**wanted))


class TestDepth:
    def test_total_of_more_is_bounded_and_says_so(self, notes):
        add_many(notes, *[0] * (DEPTH + 1))
        window = read(notes)
        assert (window.total, window.total_is_bounded) == (DEPTH, True)

    def test_total_of_as_many_is_exact(self, notes):
        add_many(notes, *[0] * DEPTH)
        window = read(notes)
        assert (window.total, window.total_is_bounded) == (DEPTH, False)

    def test_page_with_the_last_entry_is_the_last(self, notes):
        add_many(notes, *[0] * (DEPTH + 50))
        assert len(read(notes, page=DEPTH // 20, page_size=20).items) == 20
        with pytest.raises(ValidationFailed) as caught:
            read(notes, page=DEPTH // 20 + 1, page_size=20)
        assert [error["field"] for error in caught.value.errors] == ["query.page"]
        assert "cursor" in caught.value.errors[0]["message"]

    def test_cursor_goes_on_behind_it(self, notes):
        add_many(notes, *[0] * (DEPTH + 3))
        cursor = encode_cursor(START + timedelta(seconds=3), 4)
        assert [note.id for note in read(notes, cursor=cursor).items] == [3, 2, 1]


class TestSiftedWalk:
    def test_parts_together_are_what_is_wanted(self, notes):
        add_many(notes, *[0, 3, 3, 1, 3] * 7)
        cursor: str | None = ""
        seen: list[int] = []
        while cursor is not None:
            window = read_walk(notes, SIFTED, cursor=cursor, page_size=4)
            seen += [note.id for note in window.items]
            cursor = window.next_cursor
        assert seen == sorted((n for n in range(1, 36) if n % 5 in {0, 2, 3}), reverse=True)

    def test_pages_together_are_what_is_wanted(self, notes):
        add_many(notes, *[0, 3, 3, 1, 3] * 7)
        pages = [read_walk(notes, SIFTED, page=page, page_size=4) for page in range(1, 7)]
        seen = [note.id for page in pages for note in page.items]
        assert seen == sorted((n for n in range(1, 36) if n % 5 in {0, 2, 3}), reverse=True)
        assert {(page.total, page.total_is_bounded) for page in pages} == {(21, False)}

    def test_what_is_far_away_is_reached_by_parts_that_may_be_empty(self, notes):
        add_many(notes, 3, 3, *[0] * (DEPTH + 500))
        first = read_walk(notes, SIFTED, cursor="", page_size=2)
        assert (first.items, first.next_cursor is None) == ([], False)
        second = read_walk(notes, SIFTED, cursor=first.next_cursor, page_size=2)
        assert ([note.id for note in second.items], second.next_cursor) == ([2, 1], None)

    def test_total_has_what_was_looked_at(self, notes):
        add_many(notes, 3, *[0] * DEPTH, 3)
        window = read_walk(notes, SIFTED)
        assert (window.total, window.total_is_bounded) == (1, True)

    def test_of_several_ways_the_shortest_is_taken(self, notes):
        """A way of many entries with few that are wanted does not hide them."""
        add_many(notes, 3, *[0] * (DEPTH + 1))
        direct = Walk(NEWEST, [Note.stars == 3])
        for walks in ([SIFTED, direct], [direct, SIFTED]):
            window = read_walk(notes, *walks)
            assert (window.total, window.total_is_bounded) == (1, False)
