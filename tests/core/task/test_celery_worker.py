"""Worker processes that die or are stopped, on a real Redis."""

from __future__ import annotations

import pytest

from tests.support.worker import World, wait_until

pytestmark = pytest.mark.redis

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@ON_SQLITE
def test_a_task_that_kills_its_process_is_given_up_after_its_tries(world: World):
    with world.worker():
        world.emit("poisoned")
        world.emit("noted", number=1)
        world.process.start()
        world.wait_until_given_up()
    (message,) = world.messages()
    assert message.attempts == 3
    assert "died" in message.error
    assert len(world.effects("poison")) == 3
    assert world.numbers("note") == [1]


@ON_SQLITE
def test_a_stopping_worker_finishes_its_task(world: World):
    world.process.start()
    with world.worker() as celery:
        world.emit("begun", number=1, seconds=1)
        wait_until(lambda: world.numbers("begin") == [1], "the task's beginning")
        assert celery.stop() == 0
        assert world.numbers("end") == [1]
        assert world.pending() == 0


@ON_SQLITE
def test_a_stopping_worker_waits_no_longer_than_it_may(world: World):
    """What is left begins again elsewhere."""
    world.process.start()
    with world.worker(TASK_STOP_TIMEOUT="0.2") as celery:
        world.emit("begun", number=1, seconds=1.4)
        wait_until(lambda: world.numbers("begin") == [1], "the task's beginning")
        celery.stop()
        assert world.numbers("end") == []
    with world.worker():
        wait_until(lambda: world.numbers("end") == [1], "the task's end")
