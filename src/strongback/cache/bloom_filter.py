"""A Bloom filter: what certainly does not exist is not looked for.

It may take a key for known that is not (at its error rate), never the other way round. It says
"maybe" to everything until it was built, and after its memory was lost.

    known = BloomFilter(client, "article", capacity=1_000_000)
    invalidator.filter(ArticleNode, Article, known, lambda article: article.slug)
    known.rebuild(slugs)                 # at first, and now and then: deleted keys only go this way

Keys are added before the commit that makes them real, which leaves no moment in which a key is real
and not known. A rebuild may begin just then and read the source before the commit, so it takes over
what was added since the one before it began; adding once more after the commit serves a transaction
that outlasts even that.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from xxhash import xxh3_128_intdigest

from strongback.cache.error import RebuildRefused, require_count
from strongback.cache.storage import batched
from strongback.log.setup import get_logger
from strongback.redis.client import RedisClient
from strongback.redis.error import RedisUnavailable

if TYPE_CHECKING:
    from redis import Redis

log = get_logger(__name__)

ERROR_RATE = 0.01
"""Part of unknown keys that a filter takes for known, when full."""
HASHES = 7
"""Bits that a key sets, which fits this rate."""
GRACE = 5.0
"""Seconds for which a shared filter is not believed once Redis was away: another process may owe
it keys."""
REBUILD_LIMIT = 600
"""Seconds after which a rebuild that shows no sign of life is given up."""
STEP = 10_000
"""Keys that a rebuild reads between two signs of life."""


class BloomFilter:
    """Knows, in Redis, which keys may exist.

    Args:
        client: As for `RedisStorage`.
        name: Tells it from other filters.
        capacity: Keys that it is made for; with more it errs more often. Part of its name in Redis,
            so that a change starts a new filter.
        clock: Seconds that never go back.

    Raises:
        CacheMisuse: The capacity is no positive number.
    """

    def __init__(
        self,
        client: Redis | RedisClient,
        name: str,
        *,
        capacity: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require_count("capacity", capacity)
        self.name, self.capacity = name, capacity
        self.bits = math.ceil(-capacity * math.log(ERROR_RATE) / math.log(2) ** 2)
        base = f"bloom:{{{name}:{self.bits}:{HASHES}}}"
        names = [base, *(f"{base}:{part}" for part in ("next", "recent", "part", "lock"))]
        self._key, self._next, self._recent, self._part, self._turn = map(str.encode, names)
        self._client = RedisClient.of(client)
        script = self._client.server.register_script
        self._add_script, self._begin_script = script(_ADD), script(_BEGIN)
        self._finish_script, self._give_up_script = script(_FINISH), script(_GIVE_UP)
        self._clock = clock
        self._distrust_until = 0.0
        self._owed: set[str] = set()
        self._owed_lock = threading.Lock()

    def add(self, keys: Iterable[str]) -> None:
        """Know these keys from now on; as soon as possible, should Redis be away."""
        wanted = list(keys)
        if not wanted:
            return
        with self._owed_lock:
            wanted = [*wanted, *self._owed]
            try:
                names = [self._key, self._recent, self._next]
                bits = sorted({position for key in wanted for position in self._positions(key)})
                self._client.run_script(self._add_script, names, bits)
                self._owed.clear()
            except RedisUnavailable:
                self._owed.update(wanted)
                self._distrust_until = self._clock() + GRACE

    def may_contain(self, keys: Sequence[str]) -> list[bool]:
        """Tell for each key False if it certainly was never added, True if it may have been."""
        if self._owed:
            self.add(self._owed.copy())
        command: list[bytes | str | int] = ["BITFIELD_RO", self._key, "GET", "u1", self.bits]
        for key in keys:
            for position in self._positions(key):
                command += ("GET", "u1", position)
        try:
            bits = self._client.execute(*command)
        except RedisUnavailable:
            self._distrust_until = self._clock() + GRACE
            return [True] * len(keys)
        if not bits[0] or self._owed or self._clock() < self._distrust_until:
            return [True] * len(keys)
        return [all(bits[at : at + HASHES]) for at in range(1, len(bits), HASHES)]

    def rebuild(self, keys: Iterable[str]) -> int:
        """Know exactly these keys, and those that are added meanwhile; return their number.

        What was added since the rebuild before began is known as well.

        Args:
            keys: Read while the filter goes on answering. A generator, unless nothing is added
                meanwhile: what was read before this call lacks what was added since.

        Raises:
            RebuildRefused: Another process is at it, or Redis has lost what was built.
            RedisUnavailable: Redis does not answer.
        """
        token = secrets.token_hex(8)
        names = [self._turn, self._next, self._recent]
        begun = (token, REBUILD_LIMIT, self.bits)
        if not self._client.run_script(self._begin_script, names, begun):
            raise RebuildRefused(f"the filter {self.name!r} is being rebuilt; try again later")
        bitmap, count = bytearray(self.bits // 8 + 1), 0
        try:
            for part in batched(keys, STEP):
                count += len(part)
                for key in part:
                    for position in self._positions(key):
                        bitmap[position >> 3] |= 128 >> (position & 7)
                self._client.call(lambda redis: redis.expire(self._turn, REBUILD_LIMIT))
            names = [self._turn, self._next, self._part, self._key]
            built = (token, bytes(bitmap), self.bits)
            is_built = self._client.run_script(self._finish_script, names, built)
        finally:
            with suppress(RedisUnavailable):  # then it runs out by itself
                self._client.run_script(self._give_up_script, [self._turn], [token])
        if not is_built:
            message = "Redis has lost what was built, or it took too long; rebuild it again"
            raise RebuildRefused(f"the filter {self.name!r}: {message}")
        if count > self.capacity:
            log.warning("bloom_filter_full", filter=self.name, keys=count, capacity=self.capacity)
        return count

    def _positions(self, key: str) -> list[int]:
        # Two halves of one hash stand for as many as are needed (Kirsch and Mitzenmacher, 2006).
        digest = xxh3_128_intdigest(key.encode("utf-8", "surrogatepass"))
        first, step = digest >> 64, digest & 0xFFFFFFFFFFFFFFFF | 1
        return [(first + number * step) % self.bits for number in range(HASHES)]


_ADD = """
local has_next = redis.call('EXISTS', KEYS[3]) == 1
for i = 1, #ARGV do
  redis.call('SETBIT', KEYS[1], ARGV[i], 1)
  redis.call('SETBIT', KEYS[2], ARGV[i], 1)
  if has_next then redis.call('SETBIT', KEYS[3], ARGV[i], 1) end
end
return 1
"""
_BEGIN = """
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 0 end
-- What a rebuild that has failed has left there was added recently too.
redis.call('BITOP', 'OR', KEYS[2], KEYS[2], KEYS[3])
redis.call('DEL', KEYS[3])
redis.call('SETBIT', KEYS[2], ARGV[3], 0)
return 1
"""
_FINISH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
redis.call('SET', KEYS[3], ARGV[2])
redis.call('BITOP', 'OR', KEYS[2], KEYS[2], KEYS[3])
redis.call('SETBIT', KEYS[2], ARGV[3], 1)
redis.call('RENAME', KEYS[2], KEYS[4])
redis.call('DEL', KEYS[1], KEYS[3])
return 1
"""
_GIVE_UP = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
