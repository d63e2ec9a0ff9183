"""A web process that commits messages, and prints when: `python -m benchmarks.task.emit COUNT`.

Without a broker in its environment it also runs the tasks.
"""

from __future__ import annotations

import sys
import time

from benchmarks.task.ours import create
from strongback.background import Background
from strongback.database import Database
from strongback.outbox import Outbox

PAUSE = 0.03
WARM_UP = 3.0


def main(count: int) -> None:
    app = create()
    database, outbox = app.services[Database], app.services[Outbox]
    app.services[Background].start()
    time.sleep(WARM_UP)
    for number in range(count):
        # Called before the number changes.
        database.transact(lambda _: outbox.emit("bench:stamp", {"number": number}))  # noqa: B023
        print(number, time.time(), flush=True)
        time.sleep(PAUSE)
    time.sleep(1)
    app.services[Background].stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
