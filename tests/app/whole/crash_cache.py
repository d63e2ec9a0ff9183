"""Writers that die between their commit and what the cache then has to forget.

Run as a script: it forks a process for each line of its input, so that a death costs no start of an
interpreter. The line is the slug of an article and its new title; the process changes it as a
request does, and is killed once the database has committed. `dead SLUG` is printed after its end.
"""

from __future__ import annotations

import os
import signal
import sys

from sqlalchemy import event
from sqlalchemy.orm import Session

from app.core.config import load_settings
from tests.support.api import API


def die() -> None:
    """End at once: nothing is flushed, no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def change(api: API, slug: str, title: str) -> None:
    """Change a title, and die after the commit."""
    etag = api.call("GET", f"/articles/{slug}", by="ada").headers["ETag"]
    event.listen(Session, "after_commit", lambda _: die())
    headers = {"If-Match": etag}
    api.call("PATCH", f"/articles/{slug}", by="ada", json={"title": title}, headers=headers)


def main() -> None:
    """Fork for each line, and wait for that process's end."""
    api = API(load_settings())
    for line in sys.stdin:
        slug, title = line.split()
        if (child := os.fork()) == 0:
            change(api, slug, title)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        ended = "dead" if os.WIFSIGNALED(status) else "alive"
        os.write(sys.stdout.fileno(), f"{ended} {slug}\n".encode())


if __name__ == "__main__":
    main()
