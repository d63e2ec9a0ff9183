"""Which tests ask other processes: the marks of a test follow from its fixtures."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

MARKS = {
    "starts_processes": "process",
    "mariadb_server": "mysql",
    "starts_mariadb": "mysql",
    "redis_server": "redis",
    "starts_redis": "redis",
}
"""The mark that a fixture gives to every test that asks for it, directly or through another. A
`conftest.py` adds fixtures of its own."""


@pytest.fixture(scope="session")
def starts_processes() -> None:
    """Say that the test starts other processes, so that it has the mark `process`."""


def add_marks(items: Iterable[pytest.Item]) -> None:
    """Give each test the marks that follow from its fixtures.

    A parameter that is the name of such a fixture asks for it too: `params=["memory",
    pytest.param("redis_server", id="redis")]`.
    """
    for item in items:
        asked = {*getattr(item, "fixturenames", ()), *parameters(item)}
        found = {MARKS[name] for name in asked & MARKS.keys()}
        for name in found | {"process"} if found else ():
            item.add_marker(name)


def parameters(item: pytest.Item) -> list[str]:
    """Return the parameters of a test that are texts: names of fixtures are among them."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return []
    return [value for value in item.callspec.params.values() if isinstance(value, str)]
