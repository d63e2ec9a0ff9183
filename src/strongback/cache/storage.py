"""The contract of storages, and what passes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class _Answer(Enum):
    MISSING = "missing"
    BUSY = "busy"


MISSING: Final = _Answer.MISSING
"""Not in the storage. A value that is cached as absent is there, and is `None`."""
Missing = Literal[_Answer.MISSING]
BUSY: Final = _Answer.BUSY
"""Another process holds the lease."""
Busy = Literal[_Answer.BUSY]


class Item(NamedTuple):
    """A value on its way to or from a storage. Times are seconds from now: no clock is shared."""

    value: Any
    fresh: float
    """Seconds in which it is fresh; below zero it is stale already."""
    kept: float
    """Seconds in which it may be served at all."""
    cost: float = 0.0
    """Seconds that loading it took, by which its early refresh is timed."""
    token: bytes = b""
    """The write that it came from, where a storage knows that."""


class Codec(NamedTuple):
    """Turns values of one type into bytes and back."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


class Lease(NamedTuple):
    """The right to fill one key, until it is removed or the lease runs out."""

    token: bytes


class Storage(Protocol):
    """A back end. It never raises because its server is away: then everything is missing."""

    def get_all(self, keys: Sequence[str], codec: Codec) -> list[Item | Missing]:
        """Return what is kept under each key, in one round trip."""
        ...

    def set_all(self, items: Mapping[str, Item], codec: Codec) -> None:
        """Keep these, in one round trip."""
        ...

    def remove(self, keys: Sequence[str]) -> object:
        """Forget these keys."""
        ...

    def clear(self) -> None:
        """Forget all keys."""
        ...

    def count(self) -> int | None:
        """Count the keys; None if the storage cannot be asked."""
        ...


@runtime_checkable
class SharedStorage(Storage, Protocol):
    """A storage that several processes use: it hands out leases and passes removals on."""

    def acquire_all(
        self, keys: Sequence[str], codec: Codec, seconds: float
    ) -> list[Item | Lease | Busy | Missing]:
        """Return what is kept under each key, or else a lease of some seconds to fill it.

        One key takes one round trip.

        Returns:
            For each key an item, a lease, `BUSY` while another process holds it, or `MISSING`
            where the storage cannot be asked.
        """
        ...

    def wait(self, key: str, codec: Codec, seconds: float) -> Item | Lease | Missing:
        """Wait until the holder of the lease has filled the key, or take the lease over."""
        ...

    def fill_all(self, items: Mapping[str, tuple[Lease, Item]], codec: Codec) -> set[str]:
        """Keep items, except for keys that were removed since their lease was taken.

        Args:
            items: Items by key, with the lease, or the token of the item that is replaced.
            codec: Codec of their values.

        Returns:
            The keys that were filled.
        """
        ...

    def release(self, leases: Mapping[str, Lease]) -> None:
        """Give leases back unused, because loading has failed."""
        ...

    def remove(self, keys: Sequence[str]) -> bool:
        """Forget these keys, and tell the other processes.

        Returns:
            Whether that is done; otherwise it will be once the storage is back.
        """
        ...

    def announce(self, keys: Sequence[str]) -> bool:
        """Tell the other processes to forget what they hold under these keys themselves.

        Returns:
            As `remove` does.
        """
        ...

    def claim_refresh(self, key: str, seconds: float) -> bool:
        """Tell whether this process is the one to refresh an item that is still there."""
        ...

    def listen(
        self, on_remove: Callable[[Sequence[str]], None], on_gap: Callable[[], None]
    ) -> None:
        """Report removals by other processes, and gaps in which some may have been missed."""
        ...

    def await_channel(self) -> None:
        """Start listening in this process, unless that is done; wait a moment for it."""
        ...


class NullStorage:
    """Keeps nothing; for a storage that nodes name and an installation lacks."""

    def get_all(
        self, keys: Sequence[str], codec: Codec  # noqa: ARG002  as every storage
    ) -> list[Item | Missing]:
        """Find nothing."""
        return [MISSING] * len(keys)

    def set_all(self, items: Mapping[str, Item], codec: Codec) -> None:
        """Keep nothing."""

    def remove(self, keys: Sequence[str]) -> None:
        """Do nothing."""

    def clear(self) -> None:
        """Do nothing."""

    def count(self) -> int | None:
        """Count nothing."""
        return 0


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut items into lists of at most this size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
