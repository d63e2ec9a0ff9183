"""Redis: one client for everything that processes share; the extra `redis`."""

from typing import TYPE_CHECKING

from strongback.redis.error import RedisMisuse, RedisUnavailable

if TYPE_CHECKING:
    from strongback.redis.client import RedisClient, connect
else:
    from strongback.extra import lazily

    __getattr__ = lazily(
        __name__,
        {"RedisClient": "strongback.redis.client", "connect": "strongback.redis.client"},
        extra="redis",
    )

__all__ = ["RedisClient", "RedisMisuse", "RedisUnavailable", "connect"]
