"""Rate limits by a moving window, in this process or shared through Redis.

Any period of the rate's length has at most the rate's number of events. The cheaper sliding counter
keeps two numbers instead of times, and assumes that earlier events were spread evenly; against
guessed passwords a burst must not pass, and `Retry-After` should be exact. The limits are small (5
to 100), so this costs a few hundred bytes a key.
"""

from typing import TYPE_CHECKING

from limits import RateLimitItem

from strongback.rate_limit.memory_store import MemoryRateLimitStore
from strongback.rate_limit.store import Backoff, Quota, RateLimitStore, parse_rate

if TYPE_CHECKING:
    from strongback.rate_limit.redis_store import RedisRateLimitStore
else:
    from strongback.extra import lazily

    __getattr__ = lazily(
        __name__, {"RedisRateLimitStore": "strongback.rate_limit.redis_store"}, extra="redis"
    )

__all__ = [
    "Backoff",
    "MemoryRateLimitStore",
    "Quota",
    "RateLimitItem",
    "RateLimitStore",
    "RedisRateLimitStore",
    "parse_rate",
]
