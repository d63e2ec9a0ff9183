"""That no test starts a process unless it says so, and processes that start fast."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
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


forked = multiprocessing.get_context("forkserver")
"""Makes processes that have imported the application: a fork of a server that did so once."""
forked.set_forkserver_preload(
    [
        "app.main",
        "celery.bin.celery",
        "strongback.server.gunicorn_worker",
        "strongback.task.celery_worker",
    ]
)


def start_module(
    arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> BaseProcess:
    """Start `python -m …` in a session of its own, which writes to a file."""
    log.touch()
    process = forked.Process(target=_run_module, args=(arguments, dict(environment), log))
    process.start()
    return process


def _run_module(arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
    os.setsid()
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(arguments)
    # It warns of a module that has been imported already, which is what this is for.
    warnings.filterwarnings("ignore", module="runpy", category=RuntimeWarning)
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


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
