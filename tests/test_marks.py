"""What `make test` runs starts no process: marks follow from fixtures, and the rest is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.support.process import gate

NOTHING = [sys.executable, "-c", ""]


@pytest.mark.parametrize("start", [lambda: subprocess.run(NOTHING, check=True), os.fork])
def test_a_process_that_was_not_asked_for_is_refused(start, request):
    with (
        pytest.raises(pytest.fail.Exception, match="ask for the fixture `starts_processes`"),
        gate.running(request.node),
        suppress(RuntimeError),
    ):
        start()


def test_a_process_that_was_asked_for_is_started(starts_processes):
    assert subprocess.run(NOTHING, check=True).returncode == 0


@pytest.mark.parametrize("value", ["nothing", "starts_processes"])
def test_a_fixture_that_is_asked_for_by_a_parameter_marks_the_test(value, request):
    is_marked = request.node.get_closest_marker("process") is not None
    assert is_marked == (value == "starts_processes")
