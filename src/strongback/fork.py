"""Objects whose threads, locks and connections a forked child must not share with its parent."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forked(Protocol):
    """An object that may live on in a forked child."""

    def reset_after_fork(self) -> None:
        """Leave behind what is the parent's."""
        ...


_objects: WeakSet[Forked] = WeakSet()


def reset_in_children(item: Forked) -> None:
    """Call `reset_after_fork` in every forked child, for as long as the object lives."""
    _objects.add(item)


def _reset() -> None:
    for item in _objects:
        item.reset_after_fork()


os.register_at_fork(after_in_child=_reset)
