"""The errors of Redis; known also where redis-py is not installed."""

from strongback.exceptions import ConfigurationError, StrongbackError


class RedisUnavailable(StrongbackError):
    """Redis does not answer, or refuses to work; the cause says which."""


class RedisMisuse(ConfigurationError):
    """A redis-py client has options that Strongback cannot work with; the message names them."""
