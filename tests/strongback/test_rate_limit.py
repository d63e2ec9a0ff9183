from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import redis

from app.core.config import ROOT
from strongback.rate_limit import (
    Backoff,
    MemoryRateLimitStore,
    Quota,
    RateLimitStore,
    RedisRateLimitStore,
    parse_rate,
)
from strongback.redis.client import RedisClient, connect
from strongback.testing.redis import RedisServer
from tests.support.thread import run_together

RATE = parse_rate("3/minute")


@pytest.fixture
def shared(redis_server: RedisServer) -> Iterator[RedisRateLimitStore]:
    client = RedisClient(connect(redis_server.url, connections=20))
    yield RedisRateLimitStore(client)
    client.close()


@pytest.fixture(params=["memory", pytest.param("redis_server", id="redis")])
def store(request: pytest.FixtureRequest) -> RateLimitStore:
    if request.param == "memory":
        return MemoryRateLimitStore()
    store: RateLimitStore = request.getfixturevalue("shared")
    return store


class TestEveryStore:
    """What holds for every kind."""

    def test_grants_the_amount_and_no_more(self, store: RateLimitStore) -> None:
        quotas = [store.hit("key", RATE) for _ in range(5)]

        assert [quota.is_granted for quota in quotas] == [True, True, True, False, False]
        assert [quota.remaining for quota in quotas] == [2, 1, 0, 0, 0]

    def test_tells_when_there_will_be_room(self, store: RateLimitStore) -> None:
        started = time.time()
        quota = [store.hit("key", RATE) for _ in range(4)][-1]

        # The scripts round times to tenths of a millisecond.
        assert 59.999 - (time.time() - started) < quota.reset <= 60

    def test_grants_again_once_the_window_has_moved(self, store: RateLimitStore) -> None:
        rate = parse_rate("2 per 2 seconds")
        refused = [store.hit("key", rate) for _ in range(3)][-1]

        wait(refused)

        assert store.hit("key", rate).is_granted

    def test_refused_events_do_not_lengthen_the_wait(self, store: RateLimitStore) -> None:
        refused = [store.hit("key", RATE) for _ in range(50)][-1]

        assert refused.reset <= 60

    def test_keeps_keys_apart(self, store: RateLimitStore) -> None:
        for _ in range(4):
            store.hit("one", RATE)

        assert store.hit("other", RATE).is_granted

    def test_gives_back(self, store: RateLimitStore) -> None:
        for _ in range(3):
            store.hit("key", RATE)

        store.give_back("key", RATE)

        assert [store.hit("key", RATE).is_granted for _ in range(2)] == [True, False]

    def test_giving_back_what_was_never_taken_changes_nothing(self, store: RateLimitStore) -> None:
        store.give_back("key", RATE)

        assert [store.hit("key", RATE).remaining for _ in range(2)] == [2, 1]

    def test_threads_together_get_the_amount(self, store: RateLimitStore) -> None:
        quotas = run_together(*[lambda: store.hit("key", parse_rate("7/minute"))] * 16)

        assert sum(quota.is_granted for quota in quotas) == 7


def wait(refused: Quota) -> None:
    assert not refused.is_granted
    time.sleep(refused.reset + 0.01)


class TestMemoryStore:
    def test_moves_with_the_clock(self) -> None:
        now = [0.0]
        store = MemoryRateLimitStore(clock=lambda: now[0])

        for now[0] in (0.0, 10.0, 20.0):
            store.hit("key", RATE)
        now[0] = 59.9
        assert not store.hit("key", RATE).is_granted
        now[0] = 60.0
        assert store.hit("key", RATE) == Quota(is_granted=True, remaining=0, reset=10.0)

    def test_forgets_the_key_unused_for_longest(self) -> None:
        store = MemoryRateLimitStore(size=2)
        for key in ("old", "busy", "busy", "busy", "new"):
            store.hit(key, RATE)

        assert store.hit("old", RATE).remaining == 2


class TestRedisStore:
    def test_processes_share_a_count(
        self, shared: RedisRateLimitStore, redis_server: RedisServer
    ) -> None:
        taken = [shared.hit("key", RATE).is_granted for _ in range(2)]

        others = [take_in_a_process(redis_server.url) for _ in range(2)]

        assert (taken, others) == ([True, True], [True, False])

    def test_outlives_a_new_server_that_knows_no_script(
        self, shared: RedisRateLimitStore, redis_server: RedisServer
    ) -> None:
        shared.hit("key", RATE)

        redis_server.kill()
        redis_server.start()

        assert shared.hit("key", RATE).remaining == 2

    def test_keys_expire(self, shared: RedisRateLimitStore, redis_server: RedisServer) -> None:
        shared.hit("key", RATE)

        assert redis_server.lifetimes() == [("limit:LIMITER/key/3/1/minute", 60)]


def take_in_a_process(url: str) -> bool:
    code = (
        "from strongback.rate_limit import RedisRateLimitStore, parse_rate\n"
        "from strongback.redis import connect\n"
        f"store = RedisRateLimitStore(connect({url!r}, timeout=5))\n"
        "print(store.hit('key', parse_rate('3/minute')).is_granted)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip() == "True"


class TestRate:
    @pytest.mark.parametrize(
        "text,amount,seconds",
        [("20/minute", 20, 60), ("5 per 15 minutes", 5, 900), ("100/day", 100, 86400)],
    )
    def test_reads(self, text: str, amount: int, seconds: int) -> None:
        rate = parse_rate(text)

        assert (rate.amount, rate.get_expiry()) == (amount, seconds)

    @pytest.mark.parametrize("text", ["", "often", "0/minute", "5/fortnight", "-1/day"])
    def test_refuses_what_is_no_rate(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"rate limit string|granularity|allows nothing"):
            parse_rate(text)


BACKOFF = Backoff(free=3, first=60, longest=200, most=6, memory=1000)


class TestFailures:
    """What holds for every kind."""

    def test_some_are_free_and_then_one_has_to_wait(self, store: RateLimitStore) -> None:
        quotas = [store.attempt("key", BACKOFF) for _ in range(5)]

        assert [quota.is_granted for quota in quotas] == [True, True, True, False, False]
        assert [quota.remaining for quota in quotas] == [2, 1, 0, 0, 0]
        assert 50 < quotas[-1].reset <= 60

    def test_what_is_given_back_does_not_count(self, store: RateLimitStore) -> None:
        for _ in range(10):
            assert store.attempt("key", BACKOFF).is_granted
            store.give_back("key")

    def test_tries_at_once_get_what_is_free(self, store: RateLimitStore) -> None:
        quotas = run_together(*[lambda: store.attempt("key", BACKOFF)] * 16)

        assert sum(quota.is_granted for quota in quotas) == 3

    def test_after_the_last_nothing_is_granted_until_it_is_forgotten(
        self, store: RateLimitStore
    ) -> None:
        last = Backoff(free=3, first=60, longest=200, most=3, memory=1000)
        refused = [store.attempt("key", last) for _ in range(4)][-1]

        assert (refused.is_granted, refused.reset) == (False, 200)
        store.forget("key")
        assert store.attempt("key", last).is_granted

    def test_keys_are_remembered_apart(self, store: RateLimitStore) -> None:
        store.remember("key", 60)

        assert store.remembers("key")
        assert not store.remembers("other")

    def test_what_is_remembered_is_no_failure(self, store: RateLimitStore) -> None:
        store.remember("key", 60)
        store.forget("key")

        assert store.attempt("key", BACKOFF).remaining == 2


class TestBackoff:
    def test_the_wait_doubles_up_to_the_longest(self) -> None:
        now = [0.0]
        store, waits = MemoryRateLimitStore(clock=lambda: now[0]), []
        for _ in range(5):
            while not (quota := store.attempt("key", BACKOFF)).is_granted:
                waits.append(quota.reset)
                now[0] += quota.reset

        assert waits == [60, 120]
        assert [BACKOFF.wait(failures) for failures in range(7)] == [0, 0, 0, 60, 120, 200, 200]

    def test_failures_of_long_ago_are_forgotten(self) -> None:
        now = [0.0]
        store = MemoryRateLimitStore(clock=lambda: now[0])
        for _ in range(3):
            store.attempt("key", BACKOFF)

        now[0] += BACKOFF.memory

        assert store.attempt("key", BACKOFF).remaining == 2

    def test_its_sum_cannot_overflow(self) -> None:
        assert Backoff(0, 60, 3600, 10**6, 60).wait(10**5) == 3600


class TestClockSetBack:
    """What was counted in a future that has gone must not keep anybody out."""

    def test_a_window_of_the_future_is_void(
        self, shared: RedisRateLimitStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600)
        refused = [shared.hit("key", RATE) for _ in range(4)][-1]
        monkeypatch.undo()

        assert not refused.is_granted
        assert shared.hit("key", RATE).is_granted

    def test_a_step_shorter_than_the_window_makes_nobody_wait_longer(
        self, shared: RedisRateLimitStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 30)
        for _ in range(4):
            shared.hit("key", RATE)
        monkeypatch.undo()

        assert 0 <= shared.hit("key", RATE).reset <= 60

    def test_a_failure_of_the_future_counts_as_one_of_now(
        self, shared: RedisRateLimitStore, redis_server: RedisServer
    ) -> None:
        with redis.Redis.from_url(redis_server.url) as server:
            server.rpush("limit:key", *[f"{time.time() + 3600:.6f}"] * 3)

        refused = shared.attempt("key", BACKOFF)

        assert not refused.is_granted
        assert 50 < refused.reset <= 60

    def test_failures_expire(self, shared: RedisRateLimitStore, redis_server: RedisServer) -> None:
        shared.attempt("key", BACKOFF)
        shared.remember("key", 60)

        assert redis_server.lifetimes() == [("limit:key", 1000), ("limit:key:seen", 60)]
