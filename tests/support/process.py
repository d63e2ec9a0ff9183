"""Which tests work with other processes, and that no other test starts one.

A test that asks for a fixture of `MARKS` gets the mark: nobody writes one. `make test` runs what
has no mark `process`, `make test-all` what has it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

MARKS = {
    "starts_processes": "process",
    "mariadb_server": "mysql",
    "starts_mariadb": "mysql",
    "starts_redis": "redis",
    "redis_server": "redis",
    "nginx": "nginx",
    "browser": "browser",
    "meilisearch_engine": "meilisearch",
    "is_long": "long",
}
"""The mark that a fixture gives to every test that asks for it, directly or through another."""
EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
"""What the interpreter reports when a process starts; `multiprocessing` has fixtures alone."""


@pytest.fixture(scope="session")
def starts_processes() -> None:
    """Let the test start other processes, and keep it out of `make test`."""


@pytest.fixture(scope="session")
def is_long() -> bool:
    """Whether to go on for as long as a proof takes, as `make chaos ARGS=test` does."""
    return "TEST_LONG" in os.environ


def add_marks(items: Iterable[pytest.Item]) -> None:
    """Give each test the marks that follow from its fixtures.

    A parameter that is the name of such a fixture asks for it too: `params=["memory",
    pytest.param("redis_server", id="redis")]`.
    """
    for item in items:
        assert isinstance(item, pytest.Function)
        found = {MARKS[name] for name in {*item.fixturenames, *names(item)} & MARKS.keys()}
        for name in found | {"process"} if found - {"long"} else found:
            item.add_marker(name)


def names(item: pytest.Item) -> list[str]:
    """The parameters of a test that are texts: names of fixtures are among them."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return [value for value in parameters.values() if isinstance(value, str)]


class Gate:
    """Tells which test runs, and refuses the processes that it did not ask for."""

    def __init__(self) -> None:
        self._item: pytest.Item | None = None
        self._refused = ""

    def watch(self) -> None:
        """Look at everything that this process starts from now on."""
        sys.addaudithook(self._look)

    @contextmanager
    def running(self, item: pytest.Item) -> Iterator[None]:
        """Refuse to start processes during the block, unless the test has the mark.

        Raises:
            pytest.fail.Exception: One was refused, and the test went on without it.
        """
        self._item, self._refused = item, ""
        try:
            yield
        finally:
            self._item, refused = None, self._refused
            self._refused = ""
        if refused:
            pytest.fail(refused, pytrace=False)

    def _look(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and self._item and not self._item.get_closest_marker("process"):
            self._refused = (
                f"{self._item.nodeid} starts a process ({event} {arguments[:1]}) and has no mark "
                "`process`. Let it ask for the fixture `starts_processes`, or for the fixture of a "
                "server: `make test-all` runs it then instead of `make test`."
            )
            raise RuntimeError(self._refused)


gate = Gate()
