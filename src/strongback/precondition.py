"""What a writer has seen of a resource, so that nobody overwrites what they have not read.

The first parts of a versioned resource's entity tag are its revision, which writes depend on;
what may follow are counters, which a write by somebody else does not make outdated.
"""

from __future__ import annotations

from dataclasses import dataclass

from strongback.exceptions import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Expected:
    """The states that a write is meant for; any state where `tags` is None.

    A service compares inside its transaction, on the row that it has locked.
    """

    tags: frozenset[str] | None

    def check(self, revision: str) -> None:
        """Go on only if the resource is as the writer has seen it.

        Args:
            revision: What the resource's entity tag begins with, such as `12-3`.

        Raises:
            PreconditionFailed: It has changed since.
        """
        if self.tags is None or any(_is_of(tag, revision) for tag in self.tags):
            return
        raise PreconditionFailed


ANY = Expected(None)
"""Write whatever the present state is."""


def _is_of(tag: str, revision: str) -> bool:
    return tag == revision or tag.startswith(f"{revision}-")
