"""Runs a server for as long as a process of the test run is left.

    python -m strongback.testing.keeper FOLDER COMMAND...

Each process that uses the server holds a lock on the folder's file `users`. The system lets go of
it however a process ends: nobody has to count, and an interrupted run leaves no server behind.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path


def main(folder: Path, command: list[str]) -> None:
    """Start the server, wait until nobody uses it, and end it."""
    with subprocess.Popen(command) as server, (folder / "users").open() as users:
        fcntl.flock(users, fcntl.LOCK_EX)
        (folder / "address").unlink(missing_ok=True)  # who comes now starts another
        server.kill()  # a clean shutdown would be lost time


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
