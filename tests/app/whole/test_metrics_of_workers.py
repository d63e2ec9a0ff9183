from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.live import NO_SOCKETS, serving
from tests.strongback.server.test_serve import wait_until
from tests.support.process import long_only

REQUESTS = 60


@pytest.mark.parametrize("name", ["granian", *long_only("gunicorn")])
@pytest.mark.usefixtures("starts_processes")
def test_any_worker_reports_what_all_of_them_did(name: str, tmp_path: Path) -> None:
    """`/metrics` adds up the workers, whichever of them is asked."""
    variables = NO_SOCKETS | {"WEB_SERVER": name, "WEB_WORKERS": "2"}
    # Each request on a connection of its own, so that both workers get some.
    one_each = httpx.Client(headers={"Connection": "close"})
    with serving(tmp_path, **variables) as server, one_each as client:
        for _ in range(REQUESTS):
            client.get(f"{server.url}/api/v1/articles")
        seen: set[float] = set()

        def is_known_to_all() -> bool:
            """A worker tells the others within a second; none ever counts twice."""
            counts = {count(client.get(f"{server.url}/metrics").text) for _ in range(10)}
            seen.update(counts)
            return counts == {REQUESTS}

        wait_until(is_known_to_all, "the sum over both workers")
        assert max(seen) == REQUESTS


def count(metrics: str) -> float:
    series = r'^http_request_duration_seconds_count{.*route="/api/v1/articles".*} (.*)$'
    return sum(map(float, re.findall(series, metrics, re.MULTILINE)))
