"""Processes that die after a commit, or at any moment: run as a script, told what to do by lines.

It forks a process for each line of its input, so that a death costs no start of an interpreter.
`exact NUMBER` dies between the commit and its being told to the relay, `random NUMBER SECONDS`
writes from that number on until it is killed. Each prints the numbers that it has committed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from app.core.config import load_settings
from tests.support import task_app


def die() -> None:
    """End at once: nothing is flushed, no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def note(number: int) -> None:
    """Say that a number is committed; one write, complete before anything else happens."""
    os.write(sys.stdout.fileno(), f"{number}\n".encode())


def write(number: int, *, is_last: bool) -> None:
    """Commit one message, and roll back one with the negative number."""
    database = task_app.state["database"]
    outbox = task_app.outbox_of(database)

    def commit(_: object) -> None:
        if is_last:
            database.after_commit(lambda: note(number))
            database.after_commit(die)
        outbox.emit("noted", {"number": number})

    def roll_back(_: object) -> None:
        outbox.emit("noted", {"number": -number})
        raise LookupError

    try:
        database.transact(roll_back)
    except LookupError:
        database.transact(commit)
        note(number)


def run(kind: str, number: int, seconds: float) -> None:
    """Be a web process for a short time."""
    task_app.build(load_settings()).start()
    if kind == "exact":
        write(number, is_last=True)
    threading.Timer(seconds, die).start()
    while True:
        write(number, is_last=False)
        number += 1
        time.sleep(0.005)


def main() -> None:
    """Fork for each line, and wait for that process's end."""
    for line in sys.stdin:
        kind, number, seconds = line.split()
        if (child := os.fork()) == 0:
            run(kind, int(number), float(seconds))
        os.waitpid(child, 0)
        os.write(sys.stdout.fileno(), b"dead\n")


if __name__ == "__main__":
    main()
