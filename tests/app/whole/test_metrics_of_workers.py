from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.core.config import ROOT
from strongback.testing.port import free_port
from tests.live import NO_SOCKETS
from tests.strongback.server.test_serve import DEADLINE, SERVERS, wait_until

FLASK = [sys.executable, "-m", "flask", "--app", "app.main"]
REQUESTS = 60


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.usefixtures("starts_processes")
def test_any_worker_reports_what_all_of_them_did(name: str, tmp_path: Path) -> None:
    """`/metrics` adds up the workers, whichever of them is asked."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    environment = (
        os.environ
        | {
            "APP_VAR_DIR": str(tmp_path),
            "WEB_PORT": str(port),
            "WEB_SERVER": name,
            "WEB_WORKERS": "2",
        }
        | NO_SOCKETS
    )
    subprocess.run([*FLASK, "db", "upgrade"], env=environment, cwd=ROOT, check=True)
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*FLASK, "serve"], env=environment, cwd=ROOT, stdout=log, stderr=log
        )
    try:
        wait_until(lambda: answers(address), "the first answer")
        for _ in range(REQUESTS):  # each on a connection of its own, so that both workers get some
            httpx.get(f"{address}/api/v1/articles")
        seen: set[float] = set()

        def is_known_to_all() -> bool:
            """A worker tells the others within a second; none ever counts twice."""
            counts = {count(httpx.get(f"{address}/metrics").text) for _ in range(10)}
            seen.update(counts)
            return counts == {REQUESTS}

        wait_until(is_known_to_all, "the sum over both workers")
        assert max(seen) == REQUESTS
    finally:
        server.terminate()
        server.wait(DEADLINE)


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/livez").status_code == 200
    except httpx.TransportError:
        return False


def count(metrics: str) -> float:
    series = r'^http_request_duration_seconds_count{.*route="/api/v1/articles".*} (.*)$'
    return sum(map(float, re.findall(series, metrics, re.MULTILINE)))
