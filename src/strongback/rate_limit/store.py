"""The contract of every store of rate limits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import limits
from limits import RateLimitItem


def parse_rate(text: str) -> RateLimitItem:
    """Read `20/minute`, `5 per 15 minutes`, `100/day`.

    Raises:
        ValueError: The text is invalid, or allows nothing.
    """
    rate = limits.parse(text)
    if rate.amount < 1 or rate.get_expiry() < 1:
        raise ValueError(f"{text!r} allows nothing: remove the route instead")
    return rate


@dataclass(frozen=True, slots=True)
class Quota:
    """State of a key after an event."""

    is_granted: bool
    """Whether the event is allowed; if so, it was counted."""
    remaining: int
    """Number of further events that are allowed now."""
    reset: float
    """Seconds until the oldest event leaves the window."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Some failures are free; each further one doubles the wait, up to a last one."""

    free: int
    first: int
    """Seconds to wait after the last free failure."""
    longest: int
    """Maximum wait in seconds."""
    most: int
    """Number of failures after which all attempts are refused until the key is forgotten."""
    memory: int
    """Seconds after the last failure until all are forgotten."""

    def wait(self, failures: int) -> int:
        """Seconds to wait after a number of failures."""
        if failures < self.free:
            return 0
        return int(min(self.longest, self.first * 2 ** min(failures - self.free, 30)))

    def granted(self, failures: int) -> Quota:
        """State of a key whose current attempt is counted as a failure."""
        reset = self.wait(failures) or self.first
        return Quota(is_granted=True, remaining=max(0, self.free - failures), reset=reset)

    def quota(self, failures: int, passed: float) -> Quota:
        """State of a key, some seconds after the last of its failures."""
        if failures >= self.most:
            return Quota(is_granted=False, remaining=0, reset=self.longest)
        wait = self.wait(failures) - passed
        return Quota(wait <= 0, max(0, self.free - failures), max(wait, 0))


class RateLimitStore(ABC):
    """Stores the events of all keys."""

    @abstractmethod
    def hit(self, key: str, rate: RateLimitItem) -> Quota:
        """Count one event if the rate allows it; a refused one is not counted."""

    @abstractmethod
    def give_back(self, key: str, rate: RateLimitItem | None = None) -> None:
        """Remove the last event of the key, counted by the rate; None for an attempt."""

    @abstractmethod
    def attempt(self, key: str, backoff: Backoff) -> Quota:
        """Count an attempt as a failure, if earlier ones allow it; see `give_back`."""

    @abstractmethod
    def forget(self, key: str) -> None:
        """Remove all attempts of the key."""

    @abstractmethod
    def remember(self, key: str, seconds: int) -> None:
        """Remember the key for some seconds."""

    @abstractmethod
    def remembers(self, key: str) -> bool:
        """Whether the key is remembered."""
