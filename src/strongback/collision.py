"""Names that one thing alone may have."""

from __future__ import annotations

from strongback.exceptions import ConfigurationError


class Names:
    """Names of one sort, each with its owner: a second owner is refused, not obeyed silently."""

    def __init__(self, sort: str) -> None:
        self._sort = sort
        self._owners: dict[str, str] = {}

    def claim(self, name: str, owner: str) -> None:
        """Give a name to an owner, who may claim it again; `ConfigurationError` for another one."""
        other = self._owners.setdefault(name, owner)
        if other != owner:
            raise ConfigurationError(
                f"{self._sort} {name}: {other} has it, and {owner} claims it too; rename one"
            )

    def __contains__(self, name: str) -> bool:
        return name in self._owners


def path_of(kind: type) -> str:
    """Module and name of a class, as messages show it."""
    return f"{kind.__module__}.{kind.__qualname__}"
