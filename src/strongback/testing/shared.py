"""A server that all processes of a test run share."""

from __future__ import annotations

import atexit
import fcntl
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

import pytest

KEEPER = Path(__file__).with_name("keeper.py")
_held = ExitStack()  # the locks of this process, until it ends
_started: list[Popen[bytes]] = []


@atexit.register
def _end() -> None:
    """Let go of the servers, and see those off that this process has started."""
    _held.close()
    for server in _started:
        server.wait()


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the whole run, whichever of its processes asks."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def shared(folder: Path, start: Callable[[Path, Sequence[str]], tuple[str, Popen[bytes]]]) -> str:
    """Return the address of a server that the first process to ask has started.

    It ends when the last process that has asked ends, see `keeper`.

    Args:
        folder: The server's, in a folder of the whole run.
        start: Starts it in a folder of its own, by a command that begins with the given words, and
            returns its address and its process once it answers.
    """
    folder.mkdir(exist_ok=True)
    users = _held.enter_context((folder / "users").open("a"))
    address = folder / "address"
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        if not address.exists():
            place = Path(tempfile.mkdtemp(dir=folder))
            text, process = start(place, [sys.executable, str(KEEPER), str(folder)])
            _started.append(process)
            address.write_text(text)
        return address.read_text()
