"""Kills a process at every point of a write with an Idempotency-Key, and sends the request again.

Run as `python -m tests.app.whole.crash_write <database address> <folder>`; prints one JSON line per
point: where, how the process ended, and what the second request found and left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from app.comment.model import Comment
from app.core.config import Settings
from strongback.config import Environment, LogLevel
from strongback.idempotency import IdempotencyKey
from tests.support.api import API

COMMIT = ("before the commit", "after the commit")


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def send(api: API, key: str) -> Any:
    """The write: a comment, and the counter of its article."""
    return api.post(
        "/articles/tea/comments", {"body": key}, by="eve", headers={"Idempotency-Key": key}
    )


def die_after_statement(api: API, number: int) -> None:
    """Arrange to die once so many statements have been executed."""
    left = [number]

    def count(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            die()

    event.listen(api.database.engine, "after_cursor_execute", count)


def arrange(api: API, point: int | str) -> None:
    """Arrange to die at a point of the next request."""
    if isinstance(point, int):
        die_after_statement(api, point)
    elif point == COMMIT[0]:
        event.listen(api.database.engine, "commit", lambda _: die())
    else:
        event.listen(Session, "after_commit", lambda _: die())


def in_child(work: Callable[[], object]) -> int:
    """Run in a forked process; gives the signal that ended it, or 0."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count(api: API, key: str) -> dict[str, int]:
    """How many effects and keys there are."""
    with api.database.scope():
        session = api.database.session
        comments = select(func.count()).where(Comment.body == key)
        keys = select(func.count()).where(IdempotencyKey.key == key)
        return {"effects": session.scalar(comments) or 0, "keys": session.scalar(keys) or 0}


def retry(api: API, key: str) -> Any:
    """Send the request again until the server has noticed that the first is dead."""
    while (response := send(api, key)).status_code == 409:
        time.sleep(0.02)
    return response


def crash_everywhere(api: API) -> Iterator[dict[str, Any]]:
    """Crash at every point, from the first statement to the commit."""
    number = 0
    while True:
        number += 1
        report = crash_at(api, number)
        if not report["signal"]:
            break
        yield report
    for point in COMMIT:
        yield crash_at(api, point)


def crash_at(api: API, point: int | str) -> dict[str, Any]:
    """Crash at one point, then send the request again."""
    key = f"key-{point}".replace(" ", "-")

    def work() -> None:
        arrange(api, point)
        send(api, key)

    ended = in_child(work)
    if api.database.engine.dialect.name != "sqlite":
        time.sleep(0.05)  # the server undoes the dead connection's work by itself
    after_crash = count(api, key)
    response = retry(api, key)
    return {
        "point": point,
        "signal": -ended,
        "after_crash": after_crash,
        "status": response.status_code,
        "replayed": response.headers.get("Idempotency-Replayed"),
        "after_retry": count(api, key),
    }


def main(address: str, folder: str) -> None:
    """Run it on an application with an article and accounts."""
    settings = Settings(
        _env_file=None,
        app_env=Environment.TEST,
        app_var_dir=Path(folder),
        database_url=address,
        log_level=LogLevel.ERROR,
    )
    api = API(settings)
    for report in crash_everywhere(api):
        sys.stdout.write(json.dumps(report) + "\n")
    api.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
