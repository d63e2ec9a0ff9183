"""What observes cannot break what it observes: metrics, liveness, logs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.core.config import Settings
from app.main import create_app
from strongback.migration.runner import upgrade
from strongback.testing.mariadb import OwnMariaDB
from tests.live import NO_SOCKETS, LiveServer, serving
from tests.strongback.server.test_serve import wait_until

CLIENTS = 40
QUERY_TIMEOUT = 4
FORM = {"grant_type": "password", "username": "nobody", "password": "wrong"}


@pytest.fixture
def disk(starts_processes: None, tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system that the test may fill")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this sandbox lets not even root mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave not a byte."""
    size = 2**20
    with (folder / "filler").open("ab", buffering=0) as filler:
        while size:
            try:
                filler.write(b"x" * size)
            except OSError:
                size //= 2


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    """A client whose every request has a connection of its own, so that any worker gets it."""
    with httpx.Client(headers={"Connection": "close"}, timeout=60) as client:
        yield client


def booted(server: LiveServer) -> int:
    return server.log.read_text().count("Booting worker")


def test_a_full_disk_ends_no_worker_and_breaks_no_read(
    disk: Path, http: httpx.Client, tmp_path: Path
) -> None:
    """Metrics and the access log have no room either; what must be written is answered 503."""
    variables = {"LOG_DIR": str(disk / "log"), "APP_ENV": "development"}
    variables |= NO_SOCKETS | {"WEB_WORKERS": "2"}
    with serving(disk, tmp_path / "server.log", **variables) as server:
        wait_until(lambda: booted(server) == 2, "the start of both workers")
        assert http.get(server.url + "/api/v1/articles").status_code == 200
        fill(disk)
        paths = ("/api/v1/articles", "/livez", "/metrics", "/api/v1/tags", "/nowhere")
        seen = {
            path: {http.get(server.url + path).status_code for _ in range(20)} for path in paths
        }
        new = {"username": "ada", "password": "correct horse battery staple"}
        accounts = f"{server.url}/api/v1/users"
        written = {http.post(accounts, json=new).status_code for _ in range(5)}
        assert booted(server) == 2
    assert seen == {path: {404 if path == "/nowhere" else 200} for path in paths}
    assert written == {503}
    events = server.log.read_text()
    assert "unhandled_exception" not in events
    assert "request_not_accounted" not in events


def test_a_frozen_database_delays_a_sign_of_life_and_is_soon_answered_for(
    own_mariadb: OwnMariaDB, http: httpx.Client, tmp_path: Path
) -> None:
    variables = {
        "DATABASE_URL": own_mariadb.url,
        "DATABASE_QUERY_TIMEOUT": str(QUERY_TIMEOUT),
        "WEB_RATE_LIMITS": "false",
    }
    with (
        serving(tmp_path, tmp_path / "server.log", **variables) as server,
        ThreadPoolExecutor(CLIENTS) as clients,
    ):

        def sign_in() -> int:  # nothing of it is in the cache
            return http.post(f"{server.url}/api/v1/auth/token", data=FORM).status_code

        assert sign_in() == 400
        is_over = threading.Event()
        signs: list[tuple[int, float]] = []

        def look() -> None:
            while not is_over.is_set():
                response = http.get(f"{server.url}/livez")
                signs.append((response.status_code, response.elapsed.total_seconds()))
                is_over.wait(0.05)

        watcher = threading.Thread(target=look)
        with own_mariadb.frozen():
            watcher.start()
            asked = [clients.submit(sign_in) for _ in range(CLIENTS)]
            assert {future.result() for future in asked} == {503}
            for _ in range(50):  # known to hang: nobody waits for a time-out any more
                assert sign_in() == 503
        wait_until(lambda: sign_in() == 400, "the return")
        is_over.set()
        watcher.join()
    assert {status for status, _ in signs} == {200}
    # Every thread may wait for the database when it is asked, and for no longer than once.
    assert max(seconds for _, seconds in signs) < 3 * QUERY_TIMEOUT
    assert "circuit_opened" in server.log.read_text()


@pytest.mark.timeout(60)
def test_readiness_finds_out_by_a_ping_that_a_database_is_frozen(
    own_mariadb: OwnMariaDB, settings: Settings
) -> None:
    """It looks at no table after that, which would wait for as long as any statement may."""
    ours = {"database_url": own_mariadb.url, "database_query_timeout": 300}
    app = create_app(settings.model_copy(update=ours))
    with contextlib.closing(app):
        upgrade(app)
        assert app.test_client().get("/readyz").status_code == 200
        with own_mariadb.frozen():
            response = app.test_client().get("/readyz")
    services = response.get_json()["services"]
    assert response.status_code == 503
    assert {services[name]["status"] for name in ("database", "migrations", "outbox")} == {
        "unavailable"
    }
