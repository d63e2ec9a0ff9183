"""That no test starts a process unless it says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from strongback.testing.process import MARKS

MARKS |= {
    "cluster": "redis",
    "nginx": "nginx",
    "browser": "browser",
    "meilisearch_engine": "meilisearch",
}
EVENTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system"}
"""What the interpreter reports when a process starts; `multiprocessing` has fixtures alone."""


@pytest.fixture(scope="session")
def is_long() -> bool:
    """Whether to go on for as long as a proof takes, as `make chaos ARGS=test` does."""
    return "TEST_LONG" in os.environ


def long_only(*values: object) -> list[Any]:
    """Parameters that the long form alone has, because they cost more than they find."""
    return [
        pytest.param(*(each if isinstance(each, tuple) else (each,)), marks=pytest.mark.long_only)
        for each in values
    ]


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
