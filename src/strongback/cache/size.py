"""Memory that an entry of the local storage takes."""

from __future__ import annotations

import gc
from sys import getsizeof
from types import FunctionType, ModuleType

OVERHEAD = 260
"""Bytes of an entry beside its key and value: itself, its moments, its places in the dictionary, in
a queue and among the ghosts. Measured; see the test."""
MOST_OBJECTS = 100_000
"""Objects of a value that are counted."""
_PLAIN = frozenset({bytes, str, int, float, bool, type(None)})
"""Types whose values refer to nothing."""
_SHARED = (type, ModuleType, FunctionType)
"""Objects that belong to the program, and not to the value that refers to them."""


def size_of(key: str, value: object) -> int:
    """Return the bytes of an entry, with everything that its value refers to."""
    total = OVERHEAD + getsizeof(key)
    seen: set[int] = set()
    todo = [value]
    while todo and len(seen) < MOST_OBJECTS:
        each = todo.pop()
        if type(each) in _PLAIN:
            total += getsizeof(each)
            continue
        if id(each) in seen or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        total += getsizeof(each)
        todo += gc.get_referents(each)
    return total
