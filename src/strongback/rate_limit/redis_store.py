"""Rate limits shared by every process that uses the same Redis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from limits import RateLimitItem
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

from strongback.rate_limit.store import Backoff, Quota, RateLimitStore
from strongback.redis.client import RedisClient

if TYPE_CHECKING:
    from redis import Redis

PREFIX = "limit"
"""Prefix of the keys in Redis, before a colon."""

# The times of a key's failures, the last one first, by the server's clock, which all share. If it
# was set back, the last failure counts as one of now, so that nobody waits longer than announced.
_ATTEMPT = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local failures = redis.call('LLEN', KEYS[1])
local latest = tonumber(redis.call('LINDEX', KEYS[1], 0) or now)
if latest > now then
    redis.call('LSET', KEYS[1], 0, string.format('%.6f', now))
    latest = now
end
local wait = 0
if failures >= tonumber(ARGV[1]) then
    wait = math.min(tonumber(ARGV[3]), ARGV[2] * 2 ^ math.min(failures - ARGV[1], 30))
end
if failures >= tonumber(ARGV[4]) or now - latest < wait then
    return {0, failures, string.format('%.6f', now - latest)}
end
redis.call('LPUSH', KEYS[1], string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], ARGV[5])
return {1, failures + 1, '0'}
"""


class RedisRateLimitStore(RateLimitStore):
    """Stores events in Redis, for every process that uses it.

    Args:
        client: As for the cache's `RedisStorage`. Each method raises `RedisUnavailable` while Redis
            does not respond.
    """

    def __init__(self, client: Redis | RedisClient) -> None:
        self._client = RedisClient.of(client)
        pool = self._client.server.connection_pool
        self._storage = RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX)
        self._limiter = MovingWindowRateLimiter(self._storage)

    def hit(self, key: str, rate: RateLimitItem) -> Quota:
        """Count one event if the rate allows it; a refused one is not counted."""
        return self._client.call(lambda _: self._hit(key, rate))

    def _hit(self, key: str, rate: RateLimitItem) -> Quota:
        is_granted, seconds = self._limiter.hit(rate, key), rate.get_expiry()
        stats, now = self._limiter.get_window_stats(rate, key), time.time()
        if not is_granted and stats.reset_time > now + 2 * seconds:
            # A clock was set back: its events lie further ahead than the window is long.
            self._limiter.clear(rate, key)
            is_granted = self._limiter.hit(rate, key)
            stats = self._limiter.get_window_stats(rate, key)
        # The scripts in Redis round times to tenths of a millisecond.
        reset = min(max(0.0, stats.reset_time - now), seconds)
        return Quota(is_granted, max(0, stats.remaining), reset)

    def give_back(self, key: str, rate: RateLimitItem | None = None) -> None:
        """Remove the last event of the key."""
        name = self._storage.prefixed_key(rate.key_for(key) if rate else key)
        self._client.call(lambda redis: redis.lpop(name))

    def attempt(self, key: str, backoff: Backoff) -> Quota:
        """Count an attempt as a failure, if earlier ones allow it."""
        name = self._storage.prefixed_key(key)
        limits = (backoff.free, backoff.first, backoff.longest, backoff.most, backoff.memory)
        granted, failures, passed = self._client.call(
            lambda redis: cast("Any", redis.eval(_ATTEMPT, 1, name, *limits))
        )
        return (
            backoff.granted(int(failures))
            if granted
            else backoff.quota(int(failures), float(passed))
        )

    def forget(self, key: str) -> None:
        """Remove all attempts of the key."""
        self._client.call(lambda redis: redis.delete(self._storage.prefixed_key(key)))

    def remember(self, key: str, seconds: int) -> None:
        """Remember the key for some seconds."""
        self._client.call(lambda redis: redis.set(self._seen(key), "1", ex=seconds))

    def remembers(self, key: str) -> bool:
        """Whether the key is remembered."""
        return bool(self._client.call(lambda redis: redis.exists(self._seen(key))))

    def _seen(self, key: str) -> str:
        return self._storage.prefixed_key(f"{key}:seen")
