"""Tasks in threads of the web server's own process."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from app.core.config import ROOT
from strongback.task.lease import Leases
from strongback.task.periodic import LEASE_SECONDS
from tests.live import NO_SOCKETS, serving
from tests.support import task_app
from tests.support.worker import wait_until

pytestmark = pytest.mark.speaks_sql


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_what_is_committed_is_done_soon(embedded):
    embedded.dispatcher.start()
    for number in range(20):
        embedded.emit("noted", number=number, sent=time.time())
    embedded.finish()
    assert embedded.numbers("note") == list(range(20))


def test_what_was_committed_before_the_start_is_done_too(embedded):
    embedded.emit("noted", number=1)
    embedded.dispatcher.start()
    embedded.finish()
    assert embedded.numbers("note") == [1]


SERVE_A_TASK = """
import sys
from app.core.config import Settings
from app.main import create_app
from strongback.cache import OUTDATED
from strongback.migration.runner import upgrade
from strongback.outbox import MessageState
from strongback.server.serve import background_of
from tests.support.worker import wait_until

def pending():
    with app.database.scope():
        return sum(app.outbox.count(state) for state in MessageState)

app = create_app(Settings(_env_file=None, app_env="test", app_var_dir=sys.argv[1]))
upgrade(app)
background_of(app).start()
app.database.transact(lambda _: app.outbox.emit(OUTDATED, {"keys": []}))
assert pending() == 1
wait_until(lambda: pending() == 0, "the end of the task")
background_of(app).stop()
assert not {"celery", "kombu", "billiard"} & sys.modules.keys()
"""


@pytest.mark.usefixtures("starts_processes")
def test_a_server_that_runs_its_tasks_imports_no_celery(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SERVE_A_TASK, tmp_path],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@ON_SQLITE
def test_a_task_that_takes_too_long_is_stopped_and_tried_again(embedded):
    embedded.dispatcher.start()
    embedded.emit("spun")
    embedded.wait_until_given_up()
    (message,) = embedded.messages()
    assert "SoftTimeLimitExceeded" in message.error
    assert len(embedded.effects("spin")) == 2


@ON_SQLITE
def test_a_stop_lets_the_running_task_finish(embedded):
    embedded.dispatcher.start()
    embedded.emit("begun", number=1, seconds=1)
    wait_until(lambda: embedded.numbers("begin") == [1], "the task's beginning")
    embedded.dispatcher.stop()
    assert embedded.numbers("end") == [1]
    assert embedded.pending() == 0


@ON_SQLITE
def test_what_a_stop_has_left_in_memory_is_due_at_once(embedded):
    """The queues are gone with the process; the outbox gives their messages to the next one."""
    embedded.dispatcher.start()
    for number in range(8):
        embedded.emit("begun", number=number, seconds=0.4)
    wait_until(lambda: len(embedded.numbers("begin")) >= 1, "the first beginning")
    embedded.dispatcher.stop()
    done = embedded.numbers("end")
    assert embedded.numbers("begin") == done
    assert [row.state for row in embedded.messages()] == ["waiting"] * (8 - len(done))


@ON_SQLITE
def test_a_long_queue_holds_up_no_other(embedded):
    process = task_app.build(embedded.settings.model_copy(update={"task_threads": 1}))
    for number in range(40):
        embedded.emit("begun", number=number, seconds=0.05)
    embedded.emit("bundled")
    process.start()
    wait_until(lambda: embedded.effects("bundle") != [], "the message in another queue")
    assert len(embedded.numbers("begin")) < 20
    process.stop()


@ON_SQLITE
@pytest.mark.usefixtures("starts_processes")
def test_a_task_that_kills_the_server_is_given_up_after_its_tries(embedded):
    embedded.emit("poisoned")
    embedded.emit("noted", number=1)
    for _ in range(3):
        with embedded.worker() as worker:
            worker.wait()
    with embedded.worker():
        embedded.wait_until_given_up()
    (message,) = embedded.messages()
    assert message.attempts == 3
    assert "died" in message.error
    assert len(embedded.effects("poison")) == 3
    assert embedded.numbers("note") == [1]


@ON_SQLITE
def test_a_stop_leaves_no_thread_behind(embedded):
    before = threading.active_count()
    embedded.dispatcher.start()
    embedded.emit("noted", number=1)
    embedded.finish()
    embedded.dispatcher.stop()
    wait_until(lambda: threading.active_count() <= before, "the end of the threads")


@ON_SQLITE
def test_a_process_that_never_started_can_be_stopped(embedded):
    embedded.dispatcher.stop()


def test_periodic_tasks_are_done(embedded):
    embedded.dispatcher.start()
    wait_until(lambda: len(embedded.effects("tick")) >= 2, "two turns")


@ON_SQLITE
def test_a_stop_gives_the_beat_to_another_process(embedded):
    embedded.dispatcher.start()
    leases = Leases(embedded.database)
    wait_until(lambda: leases.remaining("beat", LEASE_SECONDS) > 0, "the beat's start")
    embedded.dispatcher.stop()
    assert leases.remaining("beat", LEASE_SECONDS) == 0


@pytest.mark.parametrize("server", ["gunicorn", "granian"])
@pytest.mark.usefixtures("starts_processes")
def test_both_servers_run_tasks_and_one_of_their_workers_the_beat(server, tmp_path):
    with serving(tmp_path, WEB_SERVER=server, WEB_WORKERS="2", **NO_SOCKETS) as live:
        wait_until(lambda: live.log.read_text().count("tasks_embedded") == 2, "both workers")
        wait_until(lambda: "beat_started" in live.log.read_text(), "the beat")
        time.sleep(2.5)  # the other one has asked for the lease by now
        assert live.log.read_text().count("beat_started") == 1
    text = live.log.read_text()
    assert text.count("beat_stopped") >= 1
    assert "Traceback" not in text
