"""Several processes on one Redis: leases, removals, and what holds while Redis is away.

`Process` is a manager with storages of its own, which is all that tells processes apart here;
`test_workers.py` does the same with real ones.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from strongback.cache import Node
from strongback.redis.listener import SILENCE
from strongback.testing.redis import PATIENCE, RedisServer
from tests.support.cache import Process, Source, Word, eventually, start, word_node
from tests.support.thread import run_together

Make = Callable[[], Process]


@pytest.fixture
def node(source: Source) -> type[Word]:
    source.values["tea"] = "green"
    return word_node(source, "local", "redis")


def commands(process: Process) -> dict[str, int]:
    """How often the server was asked for each command that reads or fills."""
    stats = process.client.call(lambda server: server.info("commandstats"))
    names = ("mget", "evalsha", "get")
    return {name: stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in names}


def seconds(function: Callable[[], object]) -> float:
    started = time.monotonic()
    function()
    return time.monotonic() - started


class TestOneLoad:
    def test_a_second_process_finds_what_the_first_has_loaded(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()

        assert [one.cache.get(node("tea")), two.cache.get(node("tea"))] == ["green"] * 2
        assert source.asked == ["tea"]

    def test_processes_that_miss_together_load_once(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        four = [processes() for _ in range(4)]
        for process in four:
            process.remote.await_channel()
        source.before_answer = lambda _: time.sleep(0.3)

        reads = [lambda process=process: process.cache.get(node("tea")) for process in four]
        answers = run_together(*reads * 20)

        assert set(answers) == {"green"}
        assert source.asked == ["tea"]

    def test_a_batch_waits_for_what_another_process_loads(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        gate = threading.Event()
        source.before_answer = lambda key: gate.wait(10) if key == "tea" else None
        first = start(lambda: one.cache.get(node("tea")))
        assert eventually(lambda: source.asked == ["tea"])
        found: list[object] = []
        wanted: list[Node[str]] = [node("x"), node("tea")]
        second = start(lambda: found.extend([*two.cache.get_all(wanted)]))
        assert eventually(lambda: source.asked == ["tea", "x"])

        gate.set()
        first.join()
        second.join()

        assert found == [None, "green"]
        assert source.asked == ["tea", "x"]

    def test_a_dead_holder_of_the_lease_is_replaced_when_it_runs_out(
        self, processes: Make, source: Source
    ) -> None:
        node = word_node(source, "local", "redis", lease=timedelta(milliseconds=300))
        source.values["tea"] = "green"
        one, two = processes(), processes()
        # Taken and never filled, as by a process that was killed.
        plan = one.cache._plan(node)

        def take_and_read() -> None:
            one.remote.acquire_all([f"{plan.prefix}tea"], plan.codec, plan.lease)
            two.cache.get(node("tea"))

        assert 0.29 < seconds(take_and_read) < 5
        assert source.asked == ["tea"]

    def test_a_failed_load_lets_the_next_process_try_at_once(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()

        def fail(_: str) -> None:
            raise ConnectionError

        source.before_answer = fail
        with pytest.raises(ConnectionError):
            one.cache.get(node("tea"))
        source.before_answer = lambda _: None

        assert seconds(lambda: two.cache.get(node("tea"))) < 3
        assert source.asked == ["tea", "tea"]

    def test_a_batch_costs_redis_one_command_and_two_more_where_it_is_loaded(
        self, processes: Make, node: type[Word], source: Source, redis_server: RedisServer
    ) -> None:
        one, two = processes(), processes()
        nodes = [node(str(number)) for number in range(50)]
        one.cache.get_all([node("a"), node("b")])  # the scripts are known from here on
        for process in (one, two):
            process.remote.await_channel()
        before = Counter(commands(one))

        one.cache.get_all(nodes)
        loading = Counter(commands(one)) - before
        two.cache.get_all(nodes)
        both = Counter(commands(one)) - before

        assert loading == {"mget": 1, "evalsha": 2}
        assert both - loading == {"mget": 1}
        assert source.batches == 2


class TestCoherence:
    def test_a_removal_reaches_the_other_process(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        one.cache.get(node("tea"))
        two.cache.get(node("tea"))
        source.values["tea"] = "black"

        one.cache.remove(node("tea"))

        assert one.cache.get(node("tea")) == "black"
        assert eventually(lambda: two.cache.get(node("tea")) == "black")

    def test_so_it_does_for_a_node_that_is_kept_in_the_processes_only(
        self, processes: Make, source: Source
    ) -> None:
        node = word_node(source, "local")
        source.values["tea"] = "green"
        one, two = processes(), processes()
        one.cache.get(node("tea"))
        two.cache.get(node("tea"))
        source.values["tea"] = "black"

        one.cache.remove(node("tea"))

        assert eventually(lambda: two.cache.get(node("tea")) == "black")

    def test_what_one_process_sets_the_others_read(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        two.cache.get(node("tea"))

        one.cache.set(node("tea"), "white")

        assert eventually(lambda: two.cache.get(node("tea")) == "white")
        assert source.asked == ["tea"]

    def test_what_one_process_refreshes_the_others_read(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        two.cache.get(node("tea"))
        source.values["tea"] = "black"

        assert one.cache.refresh(node("tea")) == "black"

        assert eventually(lambda: two.cache.get(node("tea")) == "black")
        assert len(source.asked) == 2

    def test_clearing_empties_every_process(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        two.cache.get(node("tea"))
        source.values["tea"] = "black"

        one.cache.clear()

        assert eventually(lambda: two.cache.get(node("tea")) == "black")

    def test_a_loader_elsewhere_that_read_before_the_removal_keeps_nothing(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        for number in range(1000):
            read, resume = threading.Event(), threading.Event()

            def pause(_: str, read: threading.Event = read, gate: threading.Event = resume) -> None:
                source.before_answer = lambda _: None
                read.set()
                gate.wait(10)

            two.cache.remove(node("tea"))
            source.values["tea"], source.before_answer = f"old-{number}", pause
            reader = start(lambda: two.cache.get(node("tea")))
            assert read.wait(10)
            source.values["tea"] = f"new-{number}"
            one.cache.remove(node("tea"))
            resume.set()
            reader.join()

            assert one.cache.get(node("tea")) == f"new-{number}"
            assert eventually(lambda number=number: two.cache.get(node("tea")) == f"new-{number}")  # type: ignore[misc]  # a lambda's default

    def test_removals_are_felt_elsewhere_at_once(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        delays = []
        for number in range(100):
            two.cache.get(node("tea"))
            source.values["tea"] = str(number)
            one.cache.remove(node("tea"))
            done = time.monotonic()
            assert eventually(lambda number=number: two.cache.get(node("tea")) == str(number))  # type: ignore[misc]  # a lambda's default
            delays.append(time.monotonic() - done)

        assert statistics.median(delays) < SILENCE / 4, "they have waited for the listener's turn"

    def test_a_gap_in_the_channel_empties_the_local_storage(
        self, processes: Make, node: type[Word], source: Source
    ) -> None:
        one, two = processes(), processes()
        two.cache.get(node("tea"))
        source.values["tea"] = "black"

        def cut(server: object) -> None:
            server.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[attr-defined]  # redis-py

        one.client.call(cut)
        # Not removed through the cache: only the gap tells.
        one.client.call(lambda server: server.delete(f"cache:{node.prefix}:1:tea"))

        assert eventually(lambda: two.cache.get(node("tea")) == "black")

    def test_stale_values_are_refreshed_by_one_process(
        self, processes: Make, source: Source
    ) -> None:
        short, long = timedelta(milliseconds=200), timedelta(minutes=1)
        node = word_node(source, "local", "redis", ttl=short, stale=long)
        source.values["tea"] = "green"
        three = [processes() for _ in range(3)]
        for process in three:
            process.cache.get(node("tea"))
        source.values["tea"] = "black"
        time.sleep(0.3)
        source.before_answer = lambda _: time.sleep(0.1)

        assert three[0].cache.get(node("tea")) == "green"
        for process in three:
            assert eventually(lambda process=process: process.cache.get(node("tea")) == "black")  # type: ignore[misc]  # a lambda's default


class TestWithoutRedis:
    def test_values_are_loaded_and_kept_in_the_process(
        self, processes: Make, node: type[Word], source: Source, redis_server: RedisServer
    ) -> None:
        one = processes()
        redis_server.kill()

        assert [one.cache.get(node("tea")) for _ in range(5)] == ["green"] * 5
        assert one.cache.get_all([node("x"), node("tea")]) == [None, "green"]
        one.cache.set(node("tea"), "white")
        assert one.cache.get(node("tea")) == "white"
        one.cache.remove(node("tea"))
        assert one.cache.refresh(node("tea")) == "green"
        assert one.remote.failures > 0

    def test_a_removal_is_made_up_for_before_anything_is_read(
        self, processes: Make, node: type[Word], source: Source, redis_server: RedisServer
    ) -> None:
        one, two = processes(), processes()
        one.cache.get(node("tea"))
        source.values["tea"] = "black"

        with redis_server.frozen():
            one.cache.remove(node("tea"))
            assert one.cache.get(node("tea")) == "black"

        assert eventually(lambda: one.client.is_available)
        assert one.cache.get(node("tea")) == "black"
        assert eventually(lambda: two.cache.get(node("tea")) == "black")

    def test_a_frozen_redis_costs_a_reader_little_and_never_an_error(
        self, processes: Make, source: Source, redis_server: RedisServer
    ) -> None:
        node = word_node(source, "redis")
        one = processes()
        one.cache.get(node("warm"))

        with redis_server.frozen():
            waits = [seconds(lambda n=n: one.cache.get(node(str(n)))) for n in range(200)]  # type: ignore[misc]  # a lambda's default

        assert sum(waits) < 200 * PATIENCE / 4, "three failures, and then nobody waits"
        assert eventually(lambda: one.client.is_available)
        one.cache.get(node("after"))
        assert eventually(lambda: one.cache.get(node("after")) is None)

    def test_what_redis_holds_outlives_a_read_that_timed_out(
        self, processes: Make, source: Source, redis_server: RedisServer
    ) -> None:
        node = word_node(source, "redis")
        source.values["tea"] = "green"
        one, two = processes(), processes()
        one.cache.get(node("tea"))

        with redis_server.frozen():
            assert one.cache.get(node("tea")) == "green"
        assert eventually(lambda: one.client.is_available)
        assert eventually(one.remote._settle)

        assert two.cache.get(node("tea")) == "green"
        assert source.asked == ["tea", "tea"]  # at first, and while Redis was frozen

    def test_a_restarted_redis_is_used_again(
        self, processes: Make, node: type[Word], source: Source, redis_server: RedisServer
    ) -> None:
        one, two = processes(), processes()
        one.cache.get(node("tea"))
        redis_server.kill()
        for number in range(20):
            one.cache.get(node(str(number)))
        redis_server.start()

        def is_shared() -> bool:
            one.cache.remove(node("cup"))
            one.cache.get(node("cup"))
            before = len(source.asked)
            two.cache.get(node("cup"))
            return len(source.asked) == before

        assert eventually(is_shared)

    def test_what_could_not_be_removed_is_remembered_within_bounds(
        self, processes: Make, node: type[Word], redis_server: RedisServer
    ) -> None:
        one = processes()
        one.cache.get(node("tea"))
        redis_server.kill()

        for start_at in range(0, 20_000, 1000):
            one.cache.remove_all([node(str(start_at + number)) for number in range(1000)])

        assert len(one.remote._pending) <= 10_000
        assert one.remote._is_clear_pending
        redis_server.start()
        assert eventually(lambda: one.client.is_available)
        assert one.cache.get(node("tea")) == "green"
        assert eventually(lambda: not one.remote._is_clear_pending)


def test_nothing_grows_while_lifetimes_end_and_begin(
    processes: Make, source: Source, redis_server: RedisServer
) -> None:
    """Many lifetimes of 20 ms stand for an hour of longer ones."""
    node = word_node(source, "local", "redis", ttl=timedelta(milliseconds=20), stale=timedelta(0))
    one = processes()

    def work(thread: int) -> None:
        for number in range(400):
            one.cache.get(node(str((number * 7 + thread) % 60)))
            if number % 10 == 0:
                one.cache.remove(node(str(number % 60)))

    for _ in range(3):
        run_together(*[lambda thread=thread: work(thread) for thread in range(6)])

    # A refresh behind the last reader may still be loading; what was left behind would stay.
    assert eventually(lambda: len(one.cache._flights) == 0)
    assert one.remote._awaited == {}
    assert one.remote._pending == set()
    assert one.remote._unclaimed == {}
    assert one.local.count() <= 60
    assert eventually(lambda: one.client.call(lambda server: server.dbsize()) == 0)
