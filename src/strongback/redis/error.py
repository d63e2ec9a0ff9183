"""What a caller of Redis has to expect; known also where redis-py is not installed."""

from strongback.exceptions import StrongbackError


class RedisUnavailable(StrongbackError):
    """Redis does not answer, or refuses to work; the cause says which."""
