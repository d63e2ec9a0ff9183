"""The test suite of the official Python SDK, against our server.

The suite is in the SDK's source distribution, which `make` fetches with the packages of the tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path

import pytest

from strongback.testing.redis import RedisServer
from tests.support.realtime import ROOT, run_server_process

ADDRESS = "localhost:8000"
ATTEMPTS = 3


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    found = sorted((ROOT / ".venv" / "sdk").glob("centrifuge_python-*.tar.gz"))
    if not found:
        pytest.skip("the source distribution of centrifuge-python was not fetched: run make")
    folder = tmp_path_factory.mktemp("sdk")
    with tarfile.open(found[-1]) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.iterdir())


@pytest.fixture
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """The ports of one server in memory, or of two on one Redis."""
    with ExitStack() as stack:
        if request.param == "local":
            yield [stack.enter_context(run_server_process())[1]]
        else:
            redis: RedisServer = request.getfixturevalue("redis_server")
            yield [stack.enter_context(run_server_process(redis.url))[1] for _ in range(2)]


@pytest.mark.parametrize(
    "ports",
    ["local", pytest.param("redis_server", id="redis", marks=pytest.mark.long_only)],
    indirect=True,
)
def test_the_official_suite_passes(starts_processes, ports, sources, tmp_path) -> None:
    turn = cycle(ports)  # the clients of a test meet on different servers
    for source in (sources / "tests").glob("*.py"):
        text = re.sub(ADDRESS, lambda _: f"127.0.0.1:{next(turn)}", source.read_text())
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / "tests" / source.name).write_text(text)

    # The suite is not patient: on a busy machine it disconnects clients before they have the
    # response to subscribing, and then waits for what they recover.
    results = (run_suite(tmp_path) for _ in range(ATTEMPTS))
    output = next((each for each in results if each.endswith("OK\n")), "it never passed")

    passed = re.search(r"^Ran (\d+) tests", output, re.MULTILINE)
    assert passed, output
    assert int(passed[1]) >= 62


def run_suite(folder: Path) -> str:
    """Run the suite once, and return what it says."""
    command = [sys.executable, "-m", "unittest", "tests.test_client"]
    try:
        run = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return "it hangs"
    return run.stderr
