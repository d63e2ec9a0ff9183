"""From what a session writes to what the cache forgets: after the commit, and never before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import String, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from strongback.cache import (
    OUTDATED,
    BloomFilter,
    CachedList,
    CacheInvalidator,
    CacheMisuse,
    CacheUnavailable,
    DatabaseNode,
    LocalStorage,
    Manager,
)
from strongback.database import Database, DatabaseMisuse
from strongback.outbox import Outbox, OutboxMessage
from strongback.redis.client import RedisClient
from strongback.testing.redis import RedisServer
from tests.support.cache import Process

pytestmark = pytest.mark.speaks_sql


class Local(DeclarativeBase):
    """Tables of this test."""


class Tea(Local):
    __tablename__ = "cache_tea"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    colour: Mapped[str] = mapped_column(String(40))
    cups: Mapped[int] = mapped_column(default=0)


class TeaNode(DatabaseNode[str]):
    storages = ("local",)

    @classmethod
    def read(cls, session: Session, keys: Sequence[str]) -> dict[str, str]:
        rows = session.execute(select(Tea.name, Tea.colour).where(Tea.name.in_(keys)))
        return {row.name: row.colour for row in rows}


@pytest.fixture
def cache() -> Manager:
    cache = Manager()
    cache.register_storage("local", LocalStorage(100))
    return cache


@pytest.fixture
def invalidator(database: Database, cache: Manager) -> Iterator[CacheInvalidator]:
    Local.metadata.create_all(database.engine)
    invalidator = CacheInvalidator(database, cache, Outbox(database))
    invalidator.invalidate_on(Tea, lambda tea: [TeaNode(tea.name)])
    database.transact(lambda session: session.add(Tea(id=1, name="sencha", colour="green")))
    yield invalidator
    Local.metadata.drop_all(database.engine)


@pytest.fixture
def colour(database: Database, cache: Manager, invalidator: CacheInvalidator) -> Any:
    return lambda name: cache.get(TeaNode(name, database))


def test_several_are_read_by_one_query(
    database: Database, cache: Manager, invalidator: CacheInvalidator
) -> None:
    nodes = [TeaNode(name, database) for name in ("sencha", "nobody")]

    assert cache.get_all(nodes) == ["green", None]
    assert cache.stats(TeaNode).loads == 2


def test_a_node_without_a_database_is_for_removing_alone(cache: Manager) -> None:
    with pytest.raises(CacheMisuse, match="TeaNode: has no database"):
        cache.get(TeaNode("sencha"))


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
    database: Database, invalidator: CacheInvalidator, colour: Any
) -> None:
    colour("sencha")

    def change(session: Any) -> None:
        session.execute(update(Tea).values(colour="brown"))
        invalidator.remove(TeaNode("sencha"))

    database.transact(change)

    assert colour("sencha") == "brown"


def test_a_row_that_a_statement_has_changed_is_touched(
    database: Database, invalidator: CacheInvalidator, colour: Any
) -> None:
    colour("sencha")

    def change(session: Any) -> None:
        tea = session.get_one(Tea, 1)
        session.execute(update(Tea).values(colour="brown"))
        database.touch(tea, "colour")

    database.transact(change)

    assert colour("sencha") == "brown"


def test_what_a_savepoint_undoes_takes_nothing_else_along(
    database: Database, invalidator: CacheInvalidator, colour: Any
) -> None:
    colour("sencha")

    def fail(session: Any) -> None:
        with database.savepoint():
            session.add(Tea(id=7, name="oolong", colour="blue"))
            session.flush()
            raise LookupError

    def change(session: Any) -> None:
        with pytest.raises(LookupError):
            fail(session)
        session.get_one(Tea, 1).colour = "brown"

    database.transact(change)

    assert colour("sencha") == "brown"


class TestLists:
    @pytest.fixture
    def shelf(self, cache: Manager, invalidator: CacheInvalidator) -> CachedList[int]:
        shelf = CachedList(cache, "teas", int, storages=["local"], lag=timedelta(hours=1))
        invalidator.invalidate_list(Tea, shelf, lambda tea: ["", tea.colour], counters=["cups"])
        return shelf

    @pytest.fixture
    def loads(self, shelf: CachedList[int]) -> Callable[[str], int]:
        """Reads a page; the answer is how often any has been loaded."""
        counter = itertools.count(1)
        return lambda group: shelf.get(group, "", lambda: next(counter))

    def test_a_row_outdates_the_groups_that_it_is_in_and_was_in(
        self, database: Database, loads: Callable[[str], int]
    ) -> None:
        assert [loads(group) for group in ("", "green", "brown", "blue")] == [1, 2, 3, 4]

        def change(session: Any) -> None:
            session.get_one(Tea, 1).colour = "brown"

        database.transact(change)

        assert [loads(group) for group in ("", "green", "brown", "blue")] == [5, 6, 7, 4]

    def test_a_counter_is_shown_late(self, database: Database, loads: Callable[[str], int]) -> None:
        def pour(session: Any) -> None:
            session.get_one(Tea, 1).cups += 1

        found = []
        for _ in range(4):
            found.append(loads(""))
            database.transact(pour)

        assert found == [1, 2, 2, 2]

    def test_a_counter_beside_something_else_is_not(
        self, database: Database, loads: Callable[[str], int]
    ) -> None:
        def pour(session: Any) -> None:
            tea = session.get_one(Tea, 1)
            tea.cups += 1
            tea.name += "!"

        found = []
        for _ in range(4):
            found.append(loads(""))
            database.transact(pour)

        assert found == [1, 2, 3, 4]


class TestRepair:
    """What is outdated is written down with the change, where other processes keep it too."""

    @pytest.fixture
    def cache(self, processes: Callable[[], Process]) -> Manager:
        return processes().cache

    @pytest.fixture
    def outbox(self, database: Database, invalidator: CacheInvalidator) -> Outbox:
        outbox = Outbox(database)
        outbox.subscribe(OUTDATED, "repair")
        invalidator._outbox.subscribe(OUTDATED, "repair")
        return outbox

    @staticmethod
    def change(database: Database) -> None:
        def change(session: Any) -> None:
            session.get_one(Tea, 1).colour += "!"

        database.transact(change)

    @staticmethod
    def messages(database: Database) -> Sequence[Any]:
        columns = (OutboxMessage.payload, OutboxMessage.available_at, OutboxMessage.created_at)
        with database.engine.connect() as connection:
            return connection.execute(select(*columns).order_by(OutboxMessage.id)).all()

    def test_a_change_writes_one_message(self, database: Database, outbox: Outbox) -> None:
        self.change(database)

        (message,) = self.messages(database)
        assert message.payload == {"keys": ["TeaNode:1:sencha"]}
        assert message.available_at > message.created_at

    def test_what_has_been_removed_is_taken_back_by_a_later_change(
        self, database: Database, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("strongback.cache.invalidator.TAKEN_BACK", 3)
        # However slow the machine is.
        monkeypatch.setattr("strongback.cache.invalidator.WITHDRAW_WITHIN", 3600)
        monkeypatch.setattr("strongback.cache.invalidator.REPAIR_AFTER", timedelta(hours=1))
        for _ in range(7):
            self.change(database)

        assert 1 <= len(self.messages(database)) <= 3

    def test_the_message_removes_what_it_names(
        self, database: Database, outbox: Outbox, invalidator: CacheInvalidator, colour: Any
    ) -> None:
        colour("sencha")
        self.change(database)
        (message,) = self.messages(database)
        colour("sencha")
        with database.engine.begin() as other:
            other.execute(update(Tea).values(colour="black"))

        invalidator.repair(message.payload["keys"])

        assert colour("sencha") == "black"

    def test_what_is_undone_writes_no_message(self, database: Database, outbox: Outbox) -> None:
        def fail(session: Any) -> None:
            session.get_one(Tea, 1).colour = "brown"
            session.flush()
            raise ConnectionError

        with pytest.raises(ConnectionError):
            database.transact(fail)

        assert self.messages(database) == []

    def test_many_keys_are_several_messages(
        self, database: Database, outbox: Outbox, invalidator: CacheInvalidator
    ) -> None:
        names = [f"{number:0100}" for number in range(300)]

        database.transact(lambda _: invalidator.remove(*map(TeaNode, names)))

        parts = [message.payload["keys"] for message in self.messages(database)]
        assert [key for part in parts for key in part] == [f"TeaNode:1:{name}" for name in names]
        assert len(parts) > 1

    def test_it_stays_while_redis_has_not_been_told(
        self,
        database: Database,
        outbox: Outbox,
        invalidator: CacheInvalidator,
        redis_server: RedisServer,
    ) -> None:
        with redis_server.frozen():
            self.change(database)
            with pytest.raises(CacheUnavailable):
                invalidator.repair(["TeaNode:1:sencha"])
        self.change(database)

        assert len(self.messages(database)) == 2


def test_a_cache_that_ends_with_the_process_needs_no_message(
    database: Database, invalidator: CacheInvalidator
) -> None:
    database.transact(lambda session: session.add(Tea(id=2, name="oolong", colour="blue")))

    with database.scope():
        assert database.session.scalars(select(OutboxMessage)).all() == []


def test_saying_so_outside_of_a_transaction_is_refused(invalidator: CacheInvalidator) -> None:
    with pytest.raises(DatabaseMisuse):
        invalidator.remove(TeaNode("sencha"))


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
    database: Database, invalidator: CacheInvalidator, client: RedisClient
) -> None:
    known = BloomFilter(client, "tea", capacity=100)
    known.rebuild(["sencha"])
    invalidator.filter(TeaNode, Tea, known, lambda tea: tea.name)

    def add(session: Any) -> None:
        session.add(Tea(id=2, name="oolong", colour="blue"))
        session.flush()
        assert known.may_contain(["oolong", "nobody"]) == [True, False]
        known.rebuild(["sencha"])  # one that has read the source before the commit

    database.transact(add)

    assert known.may_contain(["oolong"]) == [True]
