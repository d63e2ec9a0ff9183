"""Parts of a list are read once, kept as JSON, and end by themselves where the list does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from strongback.cache import CachedPages, CacheInvalidator, LocalStorage, Manager, NullStorage
from strongback.database import Database, utc_now
from strongback.outbox import Outbox
from strongback.paging import Order, Window, read_page
from strongback.schema import PageQuery, Schema


class Local(DeclarativeBase):
    """Tables of this test."""


class Cup(Local):
    __tablename__ = "cache_cup"

    id: Mapped[int] = mapped_column(primary_key=True)
    tea: Mapped[str]


class CupOut(Schema):
    id: int
    tea: str


BY_ID = Order(Cup.id, Cup.id, descending=False)


@pytest.fixture
def cache() -> Manager:
    cache = Manager()
    cache.register_storage("local", LocalStorage(100))
    cache.register_storage("redis", NullStorage())
    return cache


@pytest.fixture
def pages(database: Database, cache: Manager) -> Iterator[CachedPages]:
    Local.metadata.create_all(database.engine)
    pages = CachedPages(cache, database, "cup-list", CupOut)
    invalidator = CacheInvalidator(database, cache, Outbox(database))
    invalidator.invalidate_list(Cup, pages, lambda cup: [cup.tea])
    yield pages
    Local.metadata.drop_all(database.engine)


def add(database: Database, *cups: Cup) -> None:
    database.transact(lambda session: session.add_all(cups))


def ids(pages: CachedPages, tea: str, wanted: PageQuery) -> list[int]:
    query = select(Cup).where(Cup.tea == tea)

    def look(session: Session) -> Window[Cup]:
        return read_page(session, query, BY_ID, wanted)

    body = pages.page(tea, wanted, look).body
    return [item["id"] for item in json.loads(body)["items"]]


def test_a_page_is_json_with_its_position(database: Database, pages: CachedPages) -> None:
    add(database, *(Cup(id=number, tea="oolong") for number in range(1, 4)))
    wanted = PageQuery(page_size=2, page=1)
    query = select(Cup)

    page = pages.page("", wanted, lambda session: read_page(session, query, BY_ID, wanted))

    assert json.loads(page.body) == {
        "items": [{"id": 1, "tea": "oolong"}, {"id": 2, "tea": "oolong"}],
        "page": 1,
        "page_size": 2,
        "total": 3,
    }
    assert page.window == Window((), 2, 1, 3)


def test_a_change_reaches_its_group_alone(database: Database, pages: CachedPages) -> None:
    wanted = PageQuery(page=1)
    assert (ids(pages, "oolong", wanted), ids(pages, "sencha", wanted)) == ([], [])

    with database.engine.begin() as unseen:
        unseen.execute(insert(Cup).values(id=7, tea="sencha"))
    add(database, Cup(id=1, tea="oolong"))

    assert (ids(pages, "oolong", wanted), ids(pages, "sencha", wanted)) == ([1], [])


def test_pages_of_one_group_are_told_apart_by_what_is_wanted(
    database: Database, pages: CachedPages
) -> None:
    add(database, *(Cup(id=number, tea="oolong") for number in range(1, 4)))

    parts = [ids(pages, "oolong", PageQuery(page_size=2, page=page)) for page in (1, 2)]

    assert parts == [[1, 2], [3]]


def test_a_page_that_has_ended_by_itself_is_read_again(
    database: Database, pages: CachedPages
) -> None:
    ends = iter([utc_now() - timedelta(seconds=1), None])
    reads: list[int] = []

    def look(session: Session) -> Window[Cup]:
        reads.append(1)
        return read_page(session, select(Cup), BY_ID, PageQuery(page=1))

    def until(_: Session) -> datetime | None:
        return next(ends)

    found = [pages.page("", PageQuery(page=1), look, until) for _ in range(3)]

    assert [page.until for page in found] == [None] * 3
    assert len(reads) == 2
