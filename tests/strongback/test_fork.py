"""What a forked child resets."""

import os

import pytest

from strongback.fork import reset_in_children


class Connection:
    def __init__(self) -> None:
        self.process = os.getpid()
        reset_in_children(self)

    def reset_after_fork(self) -> None:
        self.process = os.getpid()


@pytest.mark.usefixtures("starts_processes")
def test_a_child_resets_objects_that_live() -> None:
    connection, gone = Connection(), Connection()
    del gone
    if (child := os.fork()) == 0:
        os._exit(connection.process != os.getpid())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connection.process == os.getpid()
