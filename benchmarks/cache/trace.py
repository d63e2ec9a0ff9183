"""cacheme's own trace, and the least time that it can take."""

from __future__ import annotations

import heapq
import random
from itertools import accumulate

KEYS = 200_000
"""Ranks that may be asked for."""


def zipf(count: int, keys: int, exponent: float, offset: float, seed: int) -> list[int]:
    """Ranks drawn by Zipf's law: rank r in proportion to 1 / (r + offset) ** exponent."""
    weights = list(accumulate((rank + offset) ** -exponent for rank in range(keys)))
    return random.Random(seed).choices(range(keys), cum_weights=weights, k=count)


def requests(count: int) -> list[str]:
    """The distribution of cacheme's benchmark: 200,000 requests ask for some 55,000 keys."""
    return [str(rank) for rank in zipf(count, KEYS, 1.0001, 10, seed=1)]


def least_seconds(keys: list[str], callers: int, load: float) -> float:
    """How long the trace takes where everything but a load costs nothing.

    Callers take the requests in order. One whose key is cached goes on at once, one whose key is
    being loaded waits for that load, any other loads. Nobody can be faster with as many callers,
    and it is more than loads x time / callers: popular keys make callers wait for each other.
    """
    ready: dict[str, float] = {}
    free = [0.0] * callers
    for key in keys:
        now = free[0]
        if key not in ready:
            ready[key] = now + load
        heapq.heapreplace(free, max(now, ready[key]))
    return max(free)
