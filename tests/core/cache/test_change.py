"""From what a session writes to what the cache forgets: after the commit, and never before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import String, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.core.cache import Changes, LocalBloom, LocalStorage, Manager, Node
from app.core.database import Database, DatabaseMisuse


class Local(DeclarativeBase):
    """Tables of this test."""


class Tea(Local):
    __tablename__ = "cache_tea"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    colour: Mapped[str] = mapped_column(String(40))


class TeaNode(Node[str]):
    storages = ("local",)

    def __init__(self, name: str, database: Database | None = None) -> None:
        self.name, self.database = name, database

    def key(self) -> str:
        return self.name

    def load(self) -> str | None:
        assert self.database is not None
        with self.database.latest() as session:
            return session.scalar(select(Tea.colour).where(Tea.name == self.name))


@pytest.fixture
def cache() -> Manager:
    cache = Manager()
    cache.register_storage("local", LocalStorage(100))
    return cache


@pytest.fixture
def changes(database: Database, cache: Manager) -> Iterator[Changes]:
    Local.metadata.create_all(database.engine)
    changes = Changes(database, cache)
    changes.invalidate_on(Tea, lambda tea: [TeaNode(tea.name)])
    database.transact(lambda session: session.add(Tea(id=1, name="sencha", colour="green")))
    yield changes
    Local.metadata.drop_all(database.engine)


@pytest.fixture
def colour(database: Database, cache: Manager, changes: Changes) -> Any:
    return lambda name: cache.get(TeaNode(name, database))


def test_a_changed_row_is_read_anew(database: Database, colour: Any) -> None:
    assert colour("sencha") == "green"

    def change(session: Any) -> None:
        session.get_one(Tea, 1).colour = "brown"

    database.transact(change)

    assert colour("sencha") == "brown"


def test_a_new_row_ends_the_memory_of_its_absence(database: Database, colour: Any) -> None:
    assert colour("oolong") is None

    database.transact(lambda session: session.add(Tea(id=2, name="oolong", colour="blue")))

    assert colour("oolong") == "blue"


def test_a_deleted_row_is_gone(database: Database, colour: Any) -> None:
    assert colour("sencha") == "green"

    database.transact(lambda session: session.delete(session.get_one(Tea, 1)))

    assert colour("sencha") is None


def test_a_renamed_row_is_known_by_its_new_name_alone(database: Database, colour: Any) -> None:
    assert (colour("sencha"), colour("bancha")) == ("green", None)

    def rename(session: Any) -> None:
        session.get_one(Tea, 1).name = "bancha"

    database.transact(rename)

    assert (colour("sencha"), colour("bancha")) == (None, "green")


def test_what_is_undone_removes_nothing(database: Database, cache: Manager, colour: Any) -> None:
    colour("sencha")

    def fail(session: Any) -> None:
        session.get_one(Tea, 1).colour = "brown"
        session.flush()
        raise ConnectionError

    with pytest.raises(ConnectionError):
        database.transact(fail)

    assert colour("sencha") == "green"
    assert cache.stats(TeaNode).loads == 1


def test_nothing_is_removed_before_the_commit(
    database: Database, cache: Manager, colour: Any
) -> None:
    colour("sencha")

    def change(session: Any) -> None:
        session.get_one(Tea, 1).colour = "brown"
        session.flush()
        assert colour("sencha") == "green"
        assert cache.stats(TeaNode).loads == 1

    database.transact(change)

    assert colour("sencha") == "brown"


def test_a_statement_says_itself_what_it_changes(
    database: Database, changes: Changes, colour: Any
) -> None:
    colour("sencha")

    def change(session: Any) -> None:
        session.execute(update(Tea).values(colour="brown"))
        changes.remove(TeaNode("sencha"))

    database.transact(change)

    assert colour("sencha") == "brown"


def test_saying_so_outside_of_a_transaction_is_refused(changes: Changes) -> None:
    with pytest.raises(DatabaseMisuse):
        changes.remove(TeaNode("sencha"))


def test_a_loader_does_not_see_what_its_scope_has_seen_before(
    database: Database, cache: Manager, colour: Any
) -> None:
    with database.scope():
        seen = database.session.scalar(select(Tea.colour).where(Tea.id == 1))

        with database.engine.begin() as another:
            another.execute(update(Tea).values(colour="brown"))
        cache.remove(TeaNode("sencha"))

        assert (seen, colour("sencha")) == ("green", "brown")


def test_new_names_are_added_to_a_filter_before_they_are_real(
    database: Database, changes: Changes
) -> None:
    known = LocalBloom(100)
    known.rebuild(["sencha"])
    changes.guard_on(Tea, known, lambda tea: [tea.name])

    def add(session: Any) -> None:
        session.add(Tea(id=2, name="oolong", colour="blue"))
        session.flush()
        assert known.may_contain(["oolong", "nobody"]) == [True, False]
        known.rebuild(["sencha"])  # one that has read the source before the commit

    database.transact(add)

    assert known.may_contain(["oolong"]) == [True]
