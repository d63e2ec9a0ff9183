"""The worker and the beat of the web server's own process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.transport import memory

from app.core.config import ROOT, Settings
from strongback.database import Base
from strongback.task.celery_beat import LEASE_SECONDS
from strongback.task.lease import Leases
from tests.conftest import empty
from tests.live import serving
from tests.support.worker import World, wait_until

pytestmark = pytest.mark.speaks_sql


@pytest.fixture
def embedded(settings: Settings, database_url: str, tmp_path: Path) -> Iterator[World]:
    """A database of each kind, and no broker."""
    memory.Channel.queues.clear()  # the process's own, and an earlier test's
    values = {"database_url": database_url, "task_stop_timeout": 5}
    world = World(settings.model_copy(update=values), tmp_path)
    empty(world.database, Base.metadata)
    yield world
    world.close()


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_what_is_committed_is_done_soon(embedded):
    embedded.process.start()
    for number in range(20):
        embedded.emit("noted", number=number, sent=time.time())
    embedded.finish()
    assert embedded.numbers("note") == list(range(20))


def test_what_was_committed_before_the_start_is_done_too(embedded):
    embedded.emit("noted", number=1)
    embedded.process.start()
    embedded.finish()
    assert embedded.numbers("note") == [1]


START = """
import sys, threading
from pathlib import Path
from app.core.config import Settings
from tests.support.worker import World

started = threading.Event()

class Gate:
    def find_spec(self, name, *_):
        if name == "celery" and not started.wait(60):
            raise ImportError("the start waits for Celery")

folder = Path(sys.argv[1])
world = World(Settings(_env_file=None, app_env="test", app_var_dir=folder), folder)
sys.meta_path.insert(0, Gate())
world.process.start()
assert "celery" not in sys.modules
started.set()
world.close()
assert "celery" in sys.modules
"""


@pytest.mark.usefixtures("starts_processes")
def test_a_start_does_not_make_the_server_wait(tmp_path):
    """Celery is imported in a thread; here it cannot be before the start has returned."""
    subprocess.run([sys.executable, "-c", START, tmp_path], cwd=ROOT, check=True)


@ON_SQLITE
def test_a_task_that_takes_too_long_is_stopped_and_tried_again(embedded):
    embedded.process.start()
    embedded.emit("spun")
    embedded.wait_until_given_up()
    (message,) = embedded.messages()
    assert "SoftTimeLimitExceeded" in message.error
    assert len(embedded.effects("spin")) == 2


@ON_SQLITE
def test_a_stop_lets_the_running_task_finish(embedded):
    embedded.process.start()
    embedded.emit("begun", number=1, seconds=1)
    wait_until(lambda: embedded.numbers("begin") == [1], "the task's beginning")
    embedded.process.stop()
    assert embedded.numbers("end") == [1]
    assert embedded.pending() == 0


@ON_SQLITE
def test_what_a_stop_has_left_in_memory_is_done_by_the_next_process(embedded):
    """The memory's queues are gone with the process; the outbox is not."""
    embedded.process.start()
    for number in range(8):
        embedded.emit("begun", number=number, seconds=0.4)
    wait_until(lambda: len(embedded.numbers("begin")) >= 1, "the first beginning")
    embedded.process.stop()
    done = embedded.numbers("end")
    assert embedded.numbers("begin") == done
    assert embedded.pending() == 8 - len(done)


@ON_SQLITE
def test_a_stop_leaves_no_thread_behind(embedded):
    before = threading.active_count()
    embedded.process.start()
    embedded.emit("noted", number=1)
    embedded.finish()
    embedded.process.stop()
    wait_until(lambda: threading.active_count() <= before, "the end of the threads")


@ON_SQLITE
def test_a_process_that_never_started_can_be_stopped(embedded):
    embedded.process.stop()


def test_periodic_tasks_are_done(embedded):
    embedded.process.start()
    wait_until(lambda: len(embedded.effects("tick")) >= 2, "two turns")


@ON_SQLITE
def test_a_stop_gives_the_beat_to_another_process(embedded):
    embedded.process.start()
    leases = Leases(embedded.database)
    wait_until(lambda: leases.remaining("beat", LEASE_SECONDS) > 0, "the beat's start")
    embedded.process.stop()
    assert leases.remaining("beat", LEASE_SECONDS) == 0


@pytest.mark.parametrize("server", ["gunicorn", "granian"])
@pytest.mark.usefixtures("starts_processes")
def test_both_servers_run_tasks_and_one_of_their_workers_the_beat(server, tmp_path):
    with serving(tmp_path, WEB_SERVER=server, WEB_WORKERS="2") as live:
        wait_until(lambda: live.log.read_text().count("tasks_embedded") == 2, "both workers")
        wait_until(lambda: "beat_started" in live.log.read_text(), "the beat")
        time.sleep(2.5)  # the other one has asked for the lease by now
        assert live.log.read_text().count("beat_started") == 1
    text = live.log.read_text()
    assert text.count("beat_stopped") >= 1
    assert "Traceback" not in text
