"""Preconditions of writes, which prevent lost updates.

The entity tag of a versioned resource begins with its revision, which writes depend on. Counters
may follow, which do not matter for writes.
"""

from __future__ import annotations

from dataclasses import dataclass

from strongback.exceptions import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Expected:
    """The states that a write applies to; any state if `tags` is None.

    A service compares inside its transaction, on the locked row.
    """

    tags: frozenset[str] | None

    def check(self, revision: str) -> None:
        """Check that the resource has one of the states.

        Args:
            revision: Beginning of the resource's entity tag, such as `12-3`.

        Raises:
            PreconditionFailed: The resource has another state.
        """
        if self.tags is not None and not any(
            tag == revision or tag.startswith(f"{revision}-") for tag in self.tags
        ):
            raise PreconditionFailed


ANY = Expected(None)
