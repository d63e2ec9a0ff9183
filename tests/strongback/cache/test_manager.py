"""The operations on nodes, on local storages with a clock of the test's own."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pydantic import BaseModel, ValidationError

from strongback.cache import CacheMisuse, LocalStorage, Manager, Node, NullStorage
from tests.support.cache import Clock, Source, Word, eventually, start, word_node
from tests.support.thread import run_together

MINUTE = timedelta(minutes=1)


@pytest.fixture
def cache(local_cache: Manager) -> Manager:
    return local_cache


@pytest.fixture
def node(source: Source) -> type[Word]:
    source.values["tea"] = "green"
    return word_node(source, "local", ttl=MINUTE)


class TestReading:
    def test_loads_once_and_then_remembers(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        assert [cache.get(node("tea")) for _ in range(3)] == ["green"] * 3
        assert source.asked == ["tea"]

    def test_loads_anew_after_the_lifetime(
        self, cache: Manager, node: type[Word], source: Source, clock: Clock
    ) -> None:
        cache.get(node("tea"))
        source.values["tea"] = "black"

        clock.now += 59.9
        assert cache.get(node("tea")) == "green"
        clock.now += 0.2
        assert cache.get(node("tea")) == "black"

    def test_remembers_for_a_short_time_that_there_is_none(
        self, cache: Manager, source: Source, clock: Clock
    ) -> None:
        node = word_node(source, "local", ttl=MINUTE, absent_ttl=timedelta(seconds=5))

        assert [cache.get(node("x")) for _ in range(3)] == [None] * 3
        assert source.asked == ["x"]
        clock.now += 5.1
        cache.get(node("x"))
        assert source.asked == ["x", "x"]

    def test_an_error_reaches_the_caller_and_is_not_kept(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        def fail(_: str) -> None:
            raise ConnectionError("away")

        source.before_answer = fail
        with pytest.raises(ConnectionError, match="away"):
            cache.get(node("tea"))

        source.before_answer = lambda _: None
        assert cache.get(node("tea")) == "green"

    def test_an_error_reaches_all_who_wait(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        gate = threading.Event()

        def fail(_: str) -> None:
            gate.wait(10)
            raise ConnectionError("away")

        source.before_answer = fail

        def read() -> str:
            try:
                cache.get(node("tea"))
            except ConnectionError as error:
                return str(error)
            return "nothing raised"

        def open_gate() -> str:
            assert eventually(lambda: cache.stats(node).waiters == 9)
            gate.set()
            return "away"

        assert set(run_together(*[read] * 10, open_gate)) == {"away"}
        assert source.asked == ["tea"]

    def test_versions_do_not_read_each_other(self, cache: Manager, source: Source) -> None:
        source.values["tea"] = "green"
        old = word_node(source, "local", prefix="versioned-word", version=1)
        cache.get(old("tea"))
        old.version = 2
        fresh = Manager()
        fresh.register_storage("local", cache.all_storage["local"])

        fresh.get(old("tea"))

        assert source.asked == ["tea", "tea"]

    def test_refuses_a_loader_that_asks_for_itself(self, cache: Manager) -> None:
        class Mirror(Node[str]):
            storages = ("local",)

            def key(self) -> str:
                return "mirror"

            def load(self) -> str | None:
                return cache.get(Mirror())

        with pytest.raises(CacheMisuse, match="asks the cache for"):
            cache.get(Mirror())

    def test_a_loader_may_read_other_nodes(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        class Shout(Node[str]):
            storages = ("local",)

            def key(self) -> str:
                return "shout"

            def load(self) -> str | None:
                return (cache.get(node("tea")) or "").upper()

        assert cache.get(Shout()) == "GREEN"

    def test_a_loader_that_returns_the_wrong_type_is_an_error(self, cache: Manager) -> None:
        class Number(Node[int]):
            storages = ("local",)

            def key(self) -> str:
                return "number"

            def load(self) -> int | None:
                return "many"  # type: ignore[return-value]  # what is tested

        with pytest.raises(ValidationError):
            cache.get(Number())

    def test_a_mapping_comes_back_as_the_declared_model(self, cache: Manager) -> None:
        class Cup(BaseModel):
            tea: str

        class CupNode(Node[Cup]):
            storages = ("local",)

            def key(self) -> str:
                return "cup"

            def load(self) -> Cup | None:
                return {"tea": "green"}  # type: ignore[return-value]  # what is tested

        assert cache.get(CupNode()) == Cup(tea="green")


class TestReadingSeveral:
    def test_asks_the_source_once_for_all_that_are_missing(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        source.values |= {"a": "1", "b": "2"}
        cache.get(node("a"))

        found = cache.get_all([node("b"), node("a"), node("none"), node("b")])

        assert found == ["2", "1", None, "2"]
        assert source.asked == ["a", "b", "none"]
        assert source.batches == 1

    def test_nothing_is_nothing(self, cache: Manager) -> None:
        assert cache.get_all([]) == []

    def test_keeps_what_it_loads(self, cache: Manager, node: type[Word], source: Source) -> None:
        cache.get_all([node("tea"), node("x")])
        cache.get_all([node("x"), node("tea")])

        assert source.asked == ["tea", "x"]

    def test_kinds_may_be_mixed(self, cache: Manager, node: type[Word], source: Source) -> None:
        source.values["cup"] = "blue"
        other = word_node(source, "local")

        assert cache.get_all([node("tea"), other("cup"), node("cup")]) == ["green", "blue", "blue"]

    def test_without_a_batch_of_its_own_a_kind_is_loaded_one_by_one(self, cache: Manager) -> None:
        class Plain(Node[int]):
            storages = ("local",)

            def __init__(self, number: int) -> None:
                self.number = number

            def key(self) -> str:
                return str(self.number)

            def load(self) -> int | None:
                return self.number * 2

        assert cache.get_all([Plain(1), Plain(2)]) == [2, 4]

    def test_waits_for_what_another_loads_already(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        gate = threading.Event()
        source.before_answer = lambda key: gate.wait(10) if key == "tea" else None
        first = start(lambda: cache.get(node("tea")))
        assert eventually(lambda: source.asked == ["tea"])
        found: list[object] = []
        wanted: list[Node[str]] = [node("x"), node("tea")]
        second = start(lambda: found.extend([*cache.get_all(wanted)]))
        assert eventually(lambda: source.asked == ["tea", "x"])

        gate.set()
        first.join()
        second.join()

        assert found == [None, "green"]
        assert source.asked == ["tea", "x"]

    def test_too_few_values_from_the_batch_are_an_error(self, cache: Manager) -> None:
        class Short(Word):
            storages = ("local",)

            def load(self) -> str | None:
                return self.name

            @classmethod
            def load_all(cls, nodes: object) -> list[str]:
                return ["one"]

        with pytest.raises(ValueError, match="shorter"):
            cache.get_all([Short("a"), Short("b")])


class TestWriting:
    def test_what_is_set_is_read_without_loading(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        cache.set(node("tea"), "white")

        assert cache.get(node("tea")) == "white"
        assert source.asked == []

    def test_absence_can_be_set(self, cache: Manager, node: type[Word], source: Source) -> None:
        cache.set(node("tea"), None)

        assert cache.get(node("tea")) is None
        assert source.asked == []

    def test_a_value_of_another_type_is_refused(self, cache: Manager, node: type[Word]) -> None:
        with pytest.raises(ValidationError):
            cache.set(node("tea"), 5)  # type: ignore[misc]  # what is tested

    def test_what_is_removed_is_loaded_anew(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        cache.get(node("tea"))
        source.values["tea"] = "black"

        cache.remove(node("tea"))

        assert cache.get(node("tea")) == "black"

    def test_removing_from_one_storage_leaves_the_others(
        self, source: Source, clock: Clock
    ) -> None:
        cache = Manager()
        for name in ("near", "far"):
            cache.register_storage(name, LocalStorage(10, clock=clock))
        node = word_node(source, "near", "far")
        cache.set(node("tea"), "green")

        cache.remove(node("tea"), "near")

        assert cache.get(node("tea")) == "green"
        assert cache.stats(node).hits == {"near": 0, "far": 1}
        cache.remove(node("tea"))
        assert cache.get(node("tea")) is None

    def test_a_storage_nobody_knows_is_refused(self, cache: Manager, node: type[Word]) -> None:
        with pytest.raises(CacheMisuse, match="'redis'"):
            cache.remove(node("tea"), "redis")

    def test_refreshing_loads_and_replaces(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        cache.get(node("tea"))
        source.values["tea"] = "black"

        assert cache.refresh(node("tea")) == "black"
        assert cache.get(node("tea")) == "black"
        assert source.asked == ["tea", "tea"]

    def test_a_failed_refresh_leaves_what_was_there(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        cache.get(node("tea"))

        def fail(_: str) -> None:
            raise ConnectionError

        source.before_answer = fail
        with pytest.raises(ConnectionError):
            cache.refresh(node("tea"))

        assert cache.get(node("tea")) == "green"

    def test_clearing_empties_every_storage(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        cache.get(node("tea"))

        cache.clear()
        cache.get(node("tea"))

        assert source.asked == ["tea", "tea"]

    def test_a_lower_storage_fills_the_upper_ones(self, source: Source, clock: Clock) -> None:
        cache = Manager()
        near, far = LocalStorage(10, clock=clock), LocalStorage(10, clock=clock)
        cache.register_storage("near", near)
        cache.register_storage("far", far)
        node = word_node(
            source, {"storage": "near", "ttl": timedelta(seconds=5)}, "far", ttl=MINUTE  # type: ignore[arg-type]  # options are storages too
        )
        source.values["tea"] = "green"
        cache.get(node("tea"))
        clock.now += 6

        assert [cache.get(node("tea")) for _ in range(2)] == ["green"] * 2
        assert cache.stats(node).hits == {"near": 1, "far": 1}
        assert source.asked == ["tea"]


class TestStaleValuesAreNotKept:
    def test_a_loader_that_read_before_the_removal_keeps_nothing(
        self, cache: Manager, node: type[Word], source: Source, is_long: bool
    ) -> None:
        for number in range(1000 if is_long else 200):
            read, resume = threading.Event(), threading.Event()

            def pause(_: str, read: threading.Event = read, gate: threading.Event = resume) -> None:
                read.set()
                gate.wait(10)

            source.values["tea"], source.before_answer = f"old-{number}", pause
            cache.remove(node("tea"))
            answers: list[str | None] = []
            reader = start(lambda answers=answers: answers.append(cache.get(node("tea"))))  # type: ignore[misc]  # a lambda's default
            assert read.wait(10)

            source.values["tea"] = f"new-{number}"
            cache.remove(node("tea"))
            resume.set()
            reader.join()

            assert cache.get(node("tea")) == f"new-{number}"
            assert answers == [f"new-{number}"], "who waited gets what is true when it returns"

    def test_a_refresh_outdates_a_load_that_began_before(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        read, resume = threading.Event(), threading.Event()

        def pause(_: str) -> None:
            source.before_answer = lambda _: None
            read.set()
            resume.wait(10)

        source.before_answer = pause
        reader = start(lambda: cache.get(node("tea")))
        assert read.wait(10)
        source.values["tea"] = "black"

        cache.refresh(node("tea"))
        resume.set()
        reader.join()

        assert cache.get(node("tea")) == "black"


class TestStampede:
    def test_many_threads_on_one_missing_key_load_once(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        gate = threading.Event()
        source.before_answer = lambda _: gate.wait(10)

        def open_gate() -> str:
            assert eventually(lambda: cache.stats(node).waiters == 99)
            gate.set()
            return "green"

        answers = run_together(*[lambda: cache.get(node("tea"))] * 100, open_gate)

        assert set(answers) == {"green"}
        assert source.asked == ["tea"]

    def test_a_loader_that_hangs_delays_the_others_by_the_lease(
        self, cache: Manager, source: Source
    ) -> None:
        node = word_node(source, "local", lease=timedelta(milliseconds=100))
        source.values["tea"] = "green"
        gate = threading.Event()

        def hang_once(_: str) -> None:
            source.before_answer = lambda _: None
            gate.wait(10)

        source.before_answer = hang_once
        hanging = start(lambda: cache.get(node("tea")))
        assert eventually(lambda: source.asked == ["tea"])

        assert cache.get(node("tea")) == "green"
        assert source.asked == ["tea", "tea"]
        gate.set()
        hanging.join()

    def test_nothing_is_left_in_flight(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        def fail_sometimes(key: str) -> None:
            if key.endswith("3"):
                raise ConnectionError

        source.before_answer = fail_sometimes

        def work(thread: int) -> None:
            for number in range(300):
                try:
                    cache.get(node(str((number + thread) % 50)))
                except ConnectionError:
                    continue
                cache.remove(node(str(number % 50)))

        run_together(*[lambda thread=thread: work(thread) for thread in range(8)])

        assert len(cache._flights) == 0


class TestStaleWhileRevalidate:
    def test_serves_the_old_value_while_one_reader_loads_behind(
        self, cache: Manager, source: Source, clock: Clock
    ) -> None:
        node = word_node(source, "local", ttl=MINUTE, stale=MINUTE)
        source.values["tea"] = "green"
        cache.get(node("tea"))
        gate = threading.Event()
        source.values["tea"], source.before_answer = "black", lambda _: gate.wait(10)
        clock.now += 61

        assert [cache.get(node("tea")) for _ in range(20)] == ["green"] * 20
        gate.set()

        assert eventually(lambda: cache.get(node("tea")) == "black")
        assert source.asked == ["tea", "tea"]
        assert cache.stats(node).stale >= 20

    def test_a_failed_refresh_is_not_repeated_at_each_read(
        self, cache: Manager, source: Source, clock: Clock
    ) -> None:
        node = word_node(source, "local", ttl=MINUTE, stale=MINUTE)
        source.values["tea"] = "green"
        cache.get(node("tea"))

        def fail(_: str) -> None:
            raise ConnectionError

        source.before_answer = fail
        clock.now += 61
        cache.get(node("tea"))
        assert eventually(lambda: cache.stats(node).load_failures == 1)
        assert eventually(lambda: not len(cache._flights))

        assert [cache.get(node("tea")) for _ in range(20)] == ["green"] * 20
        assert source.asked == ["tea", "tea"]

    def test_serves_nothing_older_than_that(
        self, cache: Manager, source: Source, clock: Clock
    ) -> None:
        node = word_node(source, "local", ttl=MINUTE, stale=MINUTE)
        source.values["tea"] = "green"
        cache.get(node("tea"))
        source.values["tea"] = "black"
        clock.now += 121

        assert cache.get(node("tea")) == "black"

    def test_a_slow_load_is_repeated_before_its_end_by_somebody(
        self, cache: Manager, source: Source, clock: Clock
    ) -> None:
        # An eagerness beyond all measure: the first reader is early whatever the dice say.
        node = word_node(source, "local", ttl=MINUTE, early=1e12)
        source.values["tea"] = "green"
        cache.get(node("tea"))
        source.values["tea"] = "black"

        cache.get(node("tea"))

        assert eventually(lambda: source.asked == ["tea", "tea"])


class TestLifetimes:
    def test_are_shortened_at_random_and_never_lengthened(
        self, cache: Manager, source: Source, clock: Clock
    ) -> None:
        node = word_node(source, "local", ttl=timedelta(seconds=100), jitter=0.2)
        cache.get_all([node(str(number)) for number in range(500)])
        storage = cache.all_storage["local"]
        assert isinstance(storage, LocalStorage)

        node_keys = [f"{node.prefix}:1:{number}" for number in range(500)]
        cache.set(node("lasting"), "x")
        lasting = storage.peek(f"{node.prefix}:1:lasting")
        entries = [storage.peek(key) for key in node_keys]

        assert lasting is not None
        assert 80 <= lasting.end - clock.now <= 100
        absent_ends = {entry.end for entry in entries if entry is not None}
        assert len(absent_ends) > 400
        assert all(4 <= end - clock.now <= 5 for end in absent_ends)


class TestRegistering:
    def test_storages_are_found_by_name(self, cache: Manager) -> None:
        assert list(cache.all_storage) == ["local"]

    @pytest.mark.parametrize("name", ["", None, 5])
    def test_a_name_is_a_text(self, cache: Manager, name: object) -> None:
        with pytest.raises(CacheMisuse, match="name is"):
            cache.register_storage(name, LocalStorage(1))  # type: ignore[arg-type]  # what is tested

    def test_a_name_is_given_once(self, cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="already"):
            cache.register_storage("local", LocalStorage(1))

    @pytest.mark.parametrize("storage", [object(), LocalStorage, None, {}])
    def test_a_storage_is_one(self, cache: Manager, storage: object) -> None:
        with pytest.raises(
            CacheMisuse, match=r"is no storage; it lacks|is a class; give an object"
        ):
            cache.register_storage("odd", storage)  # type: ignore[arg-type]  # what is tested

    @pytest.mark.parametrize("size", [0, -1, 1.5, "10", None, True])
    def test_a_size_is_a_positive_number(self, size: object) -> None:
        with pytest.raises(CacheMisuse, match="size is"):
            LocalStorage(size)  # type: ignore[arg-type]  # what is tested

    def test_a_node_whose_storage_is_missing_is_refused_at_start(
        self, cache: Manager, source: Source
    ) -> None:
        with pytest.raises(CacheMisuse, match=r"no storage is registered as 'redis'.*local"):
            cache.register_node(word_node(source, "local", "redis"))

    def test_what_is_no_node_is_refused(self, cache: Manager) -> None:
        with pytest.raises(CacheMisuse, match="no node"):
            cache.get("article")  # type: ignore[arg-type]  # what is tested


class TestStats:
    def test_count_what_was_asked_and_done(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        cache.get(node("tea"))
        cache.get(node("tea"))
        cache.get_all([node("tea"), node("x")])

        stats = cache.stats(node)

        assert (stats.requests, stats.misses, stats.loads) == (4, 2, 2)
        assert stats.hits == {"local": 2}
        assert stats.load_failures == stats.waiters == stats.stale == 0
        assert stats.load_seconds > 0

    def test_are_listed_by_prefix(self, cache: Manager, node: type[Word]) -> None:
        cache.get(node("tea"))

        assert cache.all_stats()[node.prefix].requests == 1

    def test_threads_lose_no_count(self, cache: Manager, node: type[Word]) -> None:
        cache.get(node("tea"))

        run_together(*[lambda: [cache.get(node("tea")) for _ in range(5000)]] * 4)

        assert cache.stats(node).requests == 20_001


class TestGuard:
    def test_what_is_certainly_absent_is_neither_looked_for_nor_kept(
        self, cache: Manager, node: type[Word], source: Source
    ) -> None:
        class Known:
            def may_contain(self, keys: object) -> list[bool]:
                assert isinstance(keys, list)
                return [key == "tea" for key in keys]

        cache.filter(node, Known())

        assert cache.get(node("coffee")) is None
        assert cache.get_all([node("tea"), node("coffee")]) == ["green", None]
        assert source.asked == ["tea"]
        assert cache.stats(node).filtered == 2


def test_closes_the_storages_that_hold_something_open() -> None:
    closed: list[str] = []

    class Opened(NullStorage):
        def close(self) -> None:
            closed.append("opened")

    cache = Manager()
    cache.register_storage("opened", Opened())
    cache.register_storage("local", LocalStorage(10))
    cache.close()
    assert closed == ["opened"]
