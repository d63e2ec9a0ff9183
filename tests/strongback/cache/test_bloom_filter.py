"""Filters: what they deny does not exist, whatever happens meanwhile."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongback.cache import BloomFilter, CacheMisuse, Manager, RebuildRefused
from strongback.redis.client import RedisClient, connect
from strongback.redis.error import RedisUnavailable
from strongback.testing.redis import RedisServer
from tests.support.cache import Clock, Source, eventually, word_node

WRITERS = 4
Make = Callable[..., BloomFilter]


@pytest.fixture
def make(client: RedisClient) -> Make:
    return lambda capacity, **options: BloomFilter(client, "test", capacity=capacity, **options)


@pytest.fixture
def count(is_long: bool) -> int:
    """Number of keys."""
    return 100_000 if is_long else 20_000


def has(known: BloomFilter, *keys: str) -> bool:
    return all(known.may_contain(list(keys)))


class TestKeys:
    def test_says_maybe_until_it_is_built(self, make: Make) -> None:
        known = make(100)
        known.add(["a"])

        assert known.may_contain(["a", "b"]) == [True, True]

    def test_knows_what_it_was_built_of(self, make: Make) -> None:
        known = make(100)

        assert known.rebuild(["a", "b"]) == 2

        assert known.may_contain(["a", "b", "c"]) == [True, True, False]

    def test_knows_what_is_added(self, make: Make) -> None:
        known = make(100)
        known.rebuild([])

        known.add(["a"])

        assert known.may_contain(["a", "b"]) == [True, False]

    def test_forgets_by_being_rebuilt(self, make: Make) -> None:
        known = make(100)
        known.rebuild(["gone"])

        known.rebuild(["kept"])

        assert known.may_contain(["gone", "kept"]) == [False, True]

    def test_knows_what_is_added_while_it_is_rebuilt(self, make: Make) -> None:
        known = make(1000)
        known.rebuild(["old"])

        def keys() -> Iterator[str]:
            yield "old"
            known.add(["added"])
            assert has(known, "added"), "before the rebuild is done"

        known.rebuild(keys())

        assert has(known, "old", "added")

    def test_goes_on_answering_while_it_is_rebuilt(self, make: Make) -> None:
        known = make(1000)
        known.rebuild(["old"])

        def keys() -> Iterator[str]:
            yield "other"
            assert known.may_contain(["old", "nobody"]) == [True, False]

        known.rebuild(keys())

    def test_a_rebuild_that_fails_changes_nothing(self, make: Make) -> None:
        known = make(1000)
        known.rebuild(["old"])

        def keys() -> Iterator[str]:
            yield "half"
            raise ConnectionError

        with pytest.raises(ConnectionError):
            known.rebuild(keys())
        known.add(["new"])

        assert known.may_contain(["old", "new", "nobody"]) == [True, True, False]

    @pytest.mark.parametrize("key", ["", "é 茶", "\ud800", "x" * 10_000])
    def test_takes_any_text(self, make: Make, key: str) -> None:
        known = make(100)
        known.rebuild([])
        assert known.may_contain([key]) == [False]

        known.add([key])

        assert has(known, key)

    def test_knows_what_becomes_real_only_after_a_rebuild_has_read_the_source(
        self, make: Make
    ) -> None:
        """A transaction adds its key, a whole rebuild passes, and then it commits."""
        known = make(1000)
        known.rebuild([])
        known.add(["not-yet"])

        known.rebuild([])
        assert has(known, "not-yet")

        known.rebuild([])
        assert not has(known, "not-yet"), "rolled back, as it seems"

    def test_what_is_known_of_late_outlives_a_rebuild_that_fails(self, make: Make) -> None:
        known = make(1000)
        known.rebuild([])
        known.add(["not-yet"])

        def keys() -> Iterator[str]:
            yield "half"
            known.add(["meanwhile"])
            raise ConnectionError

        with pytest.raises(ConnectionError):
            known.rebuild(keys())
        known.rebuild([])  # at once: nobody has to wait for the turn of the one that failed

        assert known.may_contain(["not-yet", "meanwhile", "half"]) == [True, True, False]

    def test_lets_hardly_more_absent_keys_through_than_it_says(
        self, make: Make, source: Source, local_cache: Manager, count: int
    ) -> None:
        node = word_node(source, "local")
        known = make(count)
        known.rebuild(f"key-{number}" for number in range(count))
        local_cache.filter(node, known)

        for start in range(0, count, 1000):
            nodes = [node(f"absent-{number}") for number in range(start, start + 1000)]
            assert local_cache.get_all(nodes) == [None] * 1000

        assert len(source.asked) <= 1.2 * 0.01 * count

    def test_denies_nothing_that_exists_while_many_add_read_and_rebuild(
        self, make: Make, count: int
    ) -> None:
        known = make(count)
        known.rebuild([])
        source: list[str] = []
        written = [0] * WRITERS
        done = threading.Event()

        def write(thread: int) -> int:
            for start in range(0, count // WRITERS, 200):
                keys = [f"{thread}-{number}" for number in range(start, start + 200)]
                known.add(keys)  # before they are real
                source.extend(keys)
                known.add(keys)  # and after
                written[thread] += len(keys)
            return 0

        def read() -> int:
            denied = 0
            while not done.wait(0.002):
                end = len(source)
                # The newest, which a rebuild may have missed, and any others.
                present = source[max(0, end - 50) : end]
                present += [source[random.randrange(end)] for _ in range(min(50, end))]
                denied += known.may_contain(present).count(False)
            return denied

        def keys() -> Iterator[str]:
            yield from source[:]  # looked at once the rebuild has begun

        def rebuild() -> int:
            while not done.is_set():
                known.rebuild(keys())
                # No write lasts as long as two rebuilds: it could be denied for a moment.
                begun = written[:]
                while not done.is_set() and any(
                    now == before < count // WRITERS
                    for now, before in zip(written, begun, strict=True)
                ):
                    time.sleep(0.001)
            return 0

        with ThreadPoolExecutor(WRITERS + 3) as threads:
            others = [threads.submit(read), threads.submit(read), threads.submit(rebuild)]
            try:
                list(threads.map(write, range(WRITERS)))
            finally:
                done.set()

            assert sum(each.result() for each in others) == 0
        assert len(source) == count
        assert has(known, *source)

    @pytest.mark.parametrize("capacity", [0, -1, 1.5, None])
    def test_a_capacity_is_a_number_of_keys(self, make: Make, capacity: object) -> None:
        with pytest.raises(CacheMisuse, match="capacity"):
            make(capacity)


class TestSeveralProcesses:
    def test_processes_know_what_any_of_them_adds(self, redis_server: RedisServer) -> None:
        clients = [RedisClient(connect(redis_server.url, connections=4)) for _ in range(2)]
        one, two = (BloomFilter(client, "test", capacity=100) for client in clients)
        one.rebuild([])

        one.add(["a"])

        assert two.may_contain(["a", "b"]) == [True, False]
        for client in clients:
            client.close()

    def test_one_rebuilds_at_a_time(self, client: RedisClient) -> None:
        one, two = (BloomFilter(client, "test", capacity=100) for _ in range(2))

        def keys() -> Iterator[str]:
            yield "a"
            with pytest.raises(RebuildRefused, match="being rebuilt"):
                two.rebuild([])

        assert one.rebuild(keys()) == 1

    def test_says_maybe_once_its_memory_is_lost(
        self, client: RedisClient, redis_server: RedisServer
    ) -> None:
        known = BloomFilter(client, "test", capacity=100)
        known.rebuild(["a"])

        redis_server.flush()
        known.add(["b"])

        assert known.may_contain(["a", "nobody"]) == [True, True]

    def test_memory_that_is_lost_while_it_is_rebuilt_is_noticed(
        self, client: RedisClient, redis_server: RedisServer
    ) -> None:
        known = BloomFilter(client, "test", capacity=100)

        def keys() -> Iterator[str]:
            yield "a"
            redis_server.flush()
            known.add(["added"])

        with pytest.raises(RebuildRefused, match="lost"):
            known.rebuild(keys())

        assert has(known, "added")

    def test_says_maybe_while_redis_is_away_and_a_while_longer(
        self, client: RedisClient, redis_server: RedisServer
    ) -> None:
        clock = Clock()
        known = BloomFilter(client, "test", capacity=100, clock=clock)
        known.rebuild(["a"])

        with redis_server.frozen():
            assert known.may_contain(["nobody"]) == [True]
            known.add(["new"])
            with pytest.raises(RedisUnavailable):
                known.rebuild([])

        assert eventually(lambda: client.is_available)
        assert known.may_contain(["nobody"]) == [True], "others may owe it keys"
        clock.now += 10
        assert eventually(lambda: known.may_contain(["nobody"]) == [False])
        assert has(known, "a", "new")
