"""The contract of every storage, run against each of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from strongback.cache import (
    MISSING,
    Item,
    JSONSerializer,
    LocalStorage,
    RedisStorage,
    SharedStorage,
)
from strongback.cache.serializer import adapter_of
from strongback.cache.storage import BUSY, Lease, Storage
from strongback.redis.client import RedisClient, connect
from strongback.testing.redis import RedisServer
from tests.support.cache import eventually, start

CODEC = JSONSerializer().codec(adapter_of(str))


@pytest.fixture(params=["local", pytest.param("redis_server", id="redis")])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "local":
        return LocalStorage(1000)
    storage: Storage = request.getfixturevalue("remote")
    return storage


@pytest.fixture
def shared(remote: RedisStorage) -> SharedStorage:
    return remote


def item(value: object, fresh: float = 60, kept: float | None = None) -> Item:
    return Item(value, fresh, fresh if kept is None else kept)


def read(storage: Storage, key: str) -> object:
    (found,) = storage.get_all([key], CODEC)
    return found.value if isinstance(found, Item) else found


class TestEveryStorage:
    def test_has_nothing_under_an_unknown_key(self, storage: Storage) -> None:
        assert read(storage, "a") is MISSING

    def test_gives_back_what_it_was_given(self, storage: Storage) -> None:
        storage.set_all({"a": item("tea")}, CODEC)

        assert read(storage, "a") == "tea"

    def test_tells_absent_from_missing(self, storage: Storage) -> None:
        storage.set_all({"a": item(None)}, CODEC)

        assert read(storage, "a") is None
        assert read(storage, "b") is MISSING

    def test_answers_several_keys_in_their_order(self, storage: Storage) -> None:
        storage.set_all({"a": item("1"), "c": item("3")}, CODEC)

        found = storage.get_all(["c", "b", "a"], CODEC)

        assert [one.value if isinstance(one, Item) else one for one in found] == [
            "3",
            MISSING,
            "1",
        ]

    def test_replaces_a_value(self, storage: Storage) -> None:
        storage.set_all({"a": item("old")}, CODEC)
        storage.set_all({"a": item("new")}, CODEC)

        assert read(storage, "a") == "new"

    def test_removes_what_it_is_told_to_and_nothing_else(self, storage: Storage) -> None:
        storage.set_all({"a": item("1"), "b": item("2")}, CODEC)

        storage.remove(["a", "unknown"])

        assert read(storage, "a") is MISSING
        assert read(storage, "b") == "2"

    def test_has_nothing_once_it_was_cleared(self, storage: Storage) -> None:
        storage.set_all({f"key-{number}": item("1") for number in range(50)}, CODEC)

        storage.clear()

        assert {read(storage, f"key-{number}") for number in range(50)} == {MISSING}

    def test_keeps_nothing_beyond_its_end(self, storage: Storage) -> None:
        storage.set_all({"a": item("1", fresh=0.05)}, CODEC)

        assert eventually(lambda: read(storage, "a") is MISSING)

    def test_says_how_long_an_item_is_fresh_and_kept(self, storage: Storage) -> None:
        storage.set_all({"a": item("1", fresh=10, kept=30)}, CODEC)

        (found,) = storage.get_all(["a"], CODEC)

        assert isinstance(found, Item)
        assert 9 < found.fresh <= 10
        assert 29 < found.kept <= 30

    @pytest.mark.parametrize("key", ["é 茶", "a\r\nb", "{a}b", "*?[", "\ud800", "k" * 5000])
    def test_takes_any_text_for_a_key(self, storage: Storage, key: str) -> None:
        storage.set_all({key: item("1")}, CODEC)

        assert read(storage, key) == "1"

    def test_keeps_a_large_value(self, storage: Storage) -> None:
        storage.set_all({"a": item("x" * 1_000_000)}, CODEC)

        assert read(storage, "a") == "x" * 1_000_000


class TestSharedStorages:
    def test_the_first_to_ask_gets_the_lease_and_the_second_is_told(
        self, shared: SharedStorage
    ) -> None:
        (first,) = shared.acquire_all(["a"], CODEC, 10)
        (second,) = shared.acquire_all(["a"], CODEC, 10)

        assert isinstance(first, Lease)
        assert second is BUSY

    def test_a_fill_with_the_lease_is_read_by_all(self, shared: SharedStorage) -> None:
        (lease,) = shared.acquire_all(["a"], CODEC, 10)
        assert isinstance(lease, Lease)

        assert shared.fill_all({"a": (lease, item("tea"))}, CODEC) == {"a"}
        assert read(shared, "a") == "tea"

    def test_a_fill_is_refused_once_the_key_was_removed(self, shared: SharedStorage) -> None:
        (lease,) = shared.acquire_all(["a"], CODEC, 10)
        assert isinstance(lease, Lease)

        shared.remove(["a"])

        assert shared.fill_all({"a": (lease, item("stale"))}, CODEC) == set()
        assert read(shared, "a") is MISSING

    def test_a_fill_is_refused_once_another_holds_the_lease(self, shared: SharedStorage) -> None:
        (first,) = shared.acquire_all(["a"], CODEC, 10)
        shared.remove(["a"])
        (second,) = shared.acquire_all(["a"], CODEC, 10)
        assert isinstance(first, Lease)
        assert isinstance(second, Lease)

        assert shared.fill_all({"a": (first, item("old"))}, CODEC) == set()
        assert shared.fill_all({"a": (second, item("new"))}, CODEC) == {"a"}

    def test_several_keys_come_as_items_leases_and_busy(self, shared: SharedStorage) -> None:
        shared.set_all({"a": item("1")}, CODEC)
        shared.acquire_all(["b"], CODEC, 10)

        a, b, c = shared.acquire_all(["a", "b", "c"], CODEC, 10)

        assert isinstance(a, Item)
        assert a.value == "1"
        assert b is BUSY
        assert isinstance(c, Lease)

    def test_more_keys_than_a_script_takes_are_asked_for_at_once(
        self, shared: SharedStorage
    ) -> None:
        keys = [f"key-{number}" for number in range(2500)]
        shared.set_all({key: item(key) for key in keys}, CODEC)

        found = shared.acquire_all(keys, CODEC, 10)

        assert [one.value for one in found if isinstance(one, Item)] == keys

    def test_who_waits_is_woken_by_the_fill(self, shared: SharedStorage) -> None:
        (lease,) = shared.acquire_all(["a"], CODEC, 10)
        assert isinstance(lease, Lease)
        found: list[object] = []
        waiter = start(lambda: found.append(shared.wait("a", CODEC, 10)))

        shared.fill_all({"a": (lease, item("tea"))}, CODEC)
        waiter.join()

        assert [one.value for one in found if isinstance(one, Item)] == ["tea"]

    def test_who_waits_takes_over_a_lease_that_ran_out(self, shared: SharedStorage) -> None:
        shared.acquire_all(["a"], CODEC, 0.1)

        assert isinstance(shared.wait("a", CODEC, 10), Lease)

    def test_who_waits_takes_over_a_lease_that_was_given_back(self, shared: SharedStorage) -> None:
        (lease,) = shared.acquire_all(["a"], CODEC, 10)
        assert isinstance(lease, Lease)

        shared.release({"a": lease})

        assert isinstance(shared.wait("a", CODEC, 10), Lease)

    def test_a_value_replaces_the_one_that_its_token_names(self, shared: SharedStorage) -> None:
        shared.set_all({"a": item("old")}, CODEC)
        (found,) = shared.acquire_all(["a"], CODEC, 10)
        assert isinstance(found, Item)

        assert shared.fill_all({"a": (Lease(found.token), item("new"))}, CODEC) == {"a"}
        assert shared.fill_all({"a": (Lease(found.token), item("older"))}, CODEC) == set()
        assert read(shared, "a") == "new"

    def test_one_alone_refreshes_what_is_there(self, shared: SharedStorage) -> None:
        assert [shared.claim_refresh("a", 10) for _ in range(3)] == [True, False, False]

    def test_what_cannot_be_read_is_replaced(self, shared: SharedStorage) -> None:
        shared.set_all({"a": item("text")}, CODEC)
        numbers = JSONSerializer().codec(adapter_of(int))

        (lease,) = shared.acquire_all(["a"], numbers, 10)

        assert isinstance(lease, Lease)
        assert shared.fill_all({"a": (lease, item(7))}, numbers) == {"a"}
        assert read_with(shared, numbers, "a") == 7


def read_with(storage: Storage, codec: object, key: str) -> object:
    (found,) = storage.get_all([key], codec)  # type: ignore[arg-type]  # a codec
    return found.value if isinstance(found, Item) else found


def test_redis_py_alone_serves_as_well_as_with_hiredis(redis_server: RedisServer) -> None:
    code = f"""
import sys
sys.modules["hiredis"] = None
from strongback.cache import JSONSerializer, Item, RedisStorage
from strongback.cache.serializer import adapter_of
from strongback.redis import connect
storage = RedisStorage(connect({redis_server.url!r}, timeout=5))
codec = JSONSerializer().codec(adapter_of(str))
(lease,) = storage.acquire_all(["a"], codec, 10)
assert storage.fill_all({{"a": (lease, Item("tea", 60, 60))}}, codec) == {{"a"}}
print([item.value for item in storage.get_all(["a"], codec)])
storage.close()
"""

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("['tea']\n", "")


class TestTwoProcesses:
    """Two storages on one Redis are what two processes have."""

    @pytest.fixture
    def pair(self, redis_server: RedisServer) -> Iterator[tuple[RedisStorage, RedisStorage]]:
        clients = [RedisClient(connect(redis_server.url, connections=8)) for _ in range(2)]
        first, second = (RedisStorage(client) for client in clients)
        yield first, second
        for storage in (first, second):
            storage.close()
        for client in clients:
            client.close()

    def test_a_removal_reaches_the_other_and_not_the_one_itself(
        self, pair: tuple[RedisStorage, RedisStorage]
    ) -> None:
        heard = self.listen(*pair)

        pair[0].remove(["a"])

        assert eventually(lambda: heard[1] == ["a"])
        assert heard[0] == []

    def test_a_value_that_is_set_makes_the_other_forget_its_own(
        self, pair: tuple[RedisStorage, RedisStorage]
    ) -> None:
        heard = self.listen(*pair)

        pair[0].set_all({"a": item("1")}, CODEC)

        assert eventually(lambda: heard[1] == ["a"])

    def test_opening_the_channel_counts_as_a_gap(
        self, pair: tuple[RedisStorage, RedisStorage]
    ) -> None:
        gaps: list[int] = []
        pair[0].listen(lambda _: None, lambda: gaps.append(1))

        pair[0].await_channel()

        assert gaps == [1]

    @staticmethod
    def listen(*storages: RedisStorage) -> list[list[str]]:
        heard: list[list[str]] = [[] for _ in storages]
        for storage, keys in zip(storages, heard, strict=True):
            take: Callable[..., None] = keys.extend
            storage.listen(take, lambda: None)
            storage.await_channel()
        return heard


class TestLocalStorage:
    def test_never_holds_more_than_its_size(self) -> None:
        storage = LocalStorage(100)

        storage.set_all({str(number): item("x") for number in range(1000)})

        assert storage.count() <= 100

    def test_hands_out_the_very_object(self) -> None:
        storage, value = LocalStorage(10), ["tea"]

        storage.set_all({"a": item(value)})

        assert read(storage, "a") is value

    def test_gives_up_what_is_over_before_long(self) -> None:
        storage = LocalStorage(50)
        storage.set_all({"over": item("x", fresh=0)})
        for _ in range(10):
            storage.peek("over")  # popular once, and so the last that a policy would give up

        for number in range(120):
            storage.set_all({f"key-{number % 5}": item("x")})

        assert storage.peek("over") is None
