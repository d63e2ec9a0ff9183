"""The storage that keeps nothing, for installations without one that nodes name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strongback.cache.storage import MISSING, Codec, Item, Missing


class NullStorage:
    """Stands in for a storage that is not there: nothing is found in it, and nothing kept."""

    def get_all(
        self, keys: Sequence[str], codec: Codec  # noqa: ARG002  as every storage
    ) -> list[Item | Missing]:
        """Find nothing."""
        return [MISSING] * len(keys)

    def set_all(self, items: Mapping[str, Item], codec: Codec) -> None:
        """Keep nothing."""

    def remove(self, keys: Sequence[str]) -> None:
        """Do nothing: there is nothing."""

    def clear(self) -> None:
        """Do nothing: there is nothing."""

    def count(self) -> int | None:
        """Hold nothing."""
        return 0
