"""What a storage is: the contract that every back end keeps, and what passes through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


class _Missing(Enum):
    MISSING = "missing"

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing.MISSING
"""Not in the storage. What is cached as absent is there, with the value `None`."""
Missing = Literal[_Missing.MISSING]


class Item(NamedTuple):
    """A value on its way to or from a storage. Times are seconds from now: no clock is shared."""

    value: Any
    fresh: float
    """For how long it may be served without a thought; below zero it is stale already."""
    kept: float
    """For how long it may be served at all."""
    cost: float = 0.0
    """What loading it took, by which its early refresh is timed."""
    token: bytes = b""
    """Which write it came from, where a storage knows that."""


class Codec(NamedTuple):
    """How values of one type become bytes and come back."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


class Lease(NamedTuple):
    """The right to fill one key: good until somebody removes the key, or the lease runs out."""

    token: bytes


class Busy(Enum):
    """Somebody else holds the lease."""

    BUSY = "busy"


BUSY: Final = Busy.BUSY


class Storage(Protocol):
    """A back end. It never raises because its server is away: then everything is missing."""

    def get_all(self, keys: Sequence[str], codec: Codec) -> list[Item | Missing]:
        """What is kept under each key, in one round trip."""
        ...

    def set_all(self, items: Mapping[str, Item], codec: Codec) -> None:
        """Keep these, in one round trip."""
        ...

    def remove(self, keys: Sequence[str]) -> object:
        """Keep nothing under these keys."""
        ...

    def clear(self) -> None:
        """Keep nothing at all."""
        ...

    def count(self) -> int | None:
        """How many keys it holds; None if it cannot be asked."""
        ...


@runtime_checkable
class SharedStorage(Storage, Protocol):
    """A storage that several processes use: it hands out leases and passes removals on."""

    def acquire_all(
        self, keys: Sequence[str], codec: Codec, seconds: float
    ) -> list[Item | Lease | Busy | Missing]:
        """What is kept under each key, or else the lease to fill it: one key in one round trip.

        Args:
            keys: One or more.
            codec: Of their values.
            seconds: How long a lease lasts.

        Returns:
            For each an item, a lease, `BUSY` while another holds it, or `MISSING` where the
            storage cannot be asked.
        """
        ...

    def wait(self, key: str, codec: Codec, seconds: float) -> Item | Lease | Missing:
        """Wait until the holder of the lease has filled the key, or take the lease over."""
        ...

    def fill_all(self, items: Mapping[str, tuple[Lease, Item]], codec: Codec) -> set[str]:
        """Keep what is still wanted: a key that was removed since its lease was taken is not.

        Args:
            items: What to keep, with the lease, or the token of the item that it replaces.
            codec: Of their values.

        Returns:
            The keys that were filled.
        """
        ...

    def release(self, leases: Mapping[str, Lease]) -> None:
        """Give leases back unused, because loading has failed."""
        ...

    def remove(self, keys: Sequence[str]) -> bool:
        """Keep nothing under these keys, and tell the other processes.

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
        """Whether this process is the one to refresh an item that is still there."""
        ...

    def listen(
        self, on_remove: Callable[[Sequence[str]], None], on_gap: Callable[[], None]
    ) -> None:
        """Report removals by other processes, and gaps in which some may have been missed."""
        ...

    def await_channel(self) -> None:
        """Start listening in this process, unless that is done; wait a moment for it."""
        ...


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut items into lists of at most this size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
