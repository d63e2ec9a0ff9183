"""`celery -A app.worker`, started as an operator starts it."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.core.config import ROOT, load_settings
from app.core.permission import Role
from app.main import create_app
from app.user.service import UserService
from strongback.task.liveness import INTERVAL
from strongback.testing.mariadb import run_mariadb
from strongback.testing.port import free_port
from strongback.testing.redis import RedisServer, run_redis
from tests.live import migrate, serving
from tests.support.certificate import make_certificate
from tests.support.process import long_only
from tests.support.worker import wait_until

pytestmark = pytest.mark.usefixtures("starts_processes")
SCRIPTS = ROOT / "compose" / "web" / "celery"
BIN = Path(sys.executable).parent
PASSWORD = "sesame-opens-the-cave"


@contextmanager
def script(name: str, folder: Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a start script with the interpreter of these tests."""
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "APP_ENV": "test", "APP_VAR_DIR": str(folder)}
    process = subprocess.Popen(
        [SCRIPTS / name / "start.sh"],
        cwd=ROOT,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def status(port: int, path: str, user: str | None = None) -> int | None:
    """The status of Flower's answer, or None while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Authorization": f"Basic {b64encode(user.encode()).decode()}"} if user else {}
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def test_without_a_broker_it_says_what_to_set(tmp_path):
    with script("worker", tmp_path) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith("CELERY_BROKER_URL: ")
    assert len(output.splitlines()) == 1


# `tests/strongback/task/test_celery_entry.py` asks for these lines without starting a process.
@pytest.mark.parametrize("name", long_only("worker", "beat"))
def test_a_wrong_setting_is_one_line(name, tmp_path):
    with script(name, tmp_path, REDIS_URL="redis://127.0.0.1:1/0", WEB_THREADS="many") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith("WEB_THREADS: ")
    assert len(output.splitlines()) == 1


@pytest.mark.long_only
def test_flower_refuses_to_start_without_a_password(tmp_path):
    with script(
        "flower", tmp_path, REDIS_URL="redis://127.0.0.1:1/0", FLOWER_PASSWORD=""
    ) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith("FLOWER_PASSWORD: ")


def touched(file: Path) -> float:
    """When the file was touched last; 0 where there is none."""
    return file.stat().st_mtime if file.exists() else 0.0


ODD = "p%40@:/#?& '\"\\[汉"
"""A password that would mean something else in an address or a file of settings."""


@dataclass
class Production:
    """A script with its Redis and a database in a folder."""

    process: subprocess.Popen[str]
    redis: RedisServer
    alive: Path
    """The file that is touched as a sign of life."""
    flower: int
    """Flower's port."""

    def show_life(self) -> None:
        """Wait for two signs of life."""
        wait_until(lambda: touched(self.alive) > 0, "the first sign of life")
        first = touched(self.alive)
        wait_until(lambda: touched(self.alive) > first, "another one")
        assert is_alive(self.alive)


@contextmanager
def production(name: str, folder: Path, *, is_in_address: bool) -> Iterator[Production]:
    """Run a script in production, with the key that it needs: beat and Flower with none."""
    with run_redis(folder, password=ODD) as redis:
        login = {"REDIS_URL": redis.url}
        if not is_in_address:
            login = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "REDIS_PASSWORD": ODD}
        alive, port = folder / "alive", free_port()
        variables = login | {
            "APP_ENV": "production",
            "APP_SECRET_KEY": secrets.token_urlsafe(48) if name == "worker" else "",
            "TASK_LIVENESS_FILE": str(alive),
            "FLOWER_PASSWORD": PASSWORD,
            "FLOWER_PORT": str(port),
            "WORKER_CONCURRENCY": "1",
        }
        migrate(folder, {})
        with script(name, folder, **variables) as process:
            yield Production(process, redis, alive, port)


@pytest.mark.usefixtures("starts_redis")
class TestProductionSignsInToRedisByAnyPassword:
    """And shows that it works."""

    @pytest.mark.parametrize("is_in_address", [True, *long_only(False)])
    def test_worker_does_until_its_broker_is_gone(self, is_in_address, tmp_path):
        with production("worker", tmp_path, is_in_address=is_in_address) as worker:
            worker.show_life()
            worker.redis.kill()
            wait_until(lambda: time.time() - touched(worker.alive) > 3 * INTERVAL, "a silence")

    @pytest.mark.parametrize("is_in_address", [False, *long_only(True)])
    def test_beat(self, is_in_address, tmp_path):
        with production("beat", tmp_path, is_in_address=is_in_address) as beat:
            beat.show_life()

    @pytest.mark.parametrize("is_in_address", [True, *long_only(False)])
    def test_flower_for_those_who_know_its_password(self, is_in_address, tmp_path):
        pytest.importorskip("flower", reason="Flower is not installed: its pages were not tested")
        with production("flower", tmp_path, is_in_address=is_in_address) as flower:
            port = flower.flower
            wait_until(lambda: status(port, "/") is not None, "Flower's start")
            for path in ("/", "/workers", "/broker", "/tasks"):
                assert status(port, path) == 401
                assert status(port, path, "admin:wrong") == 401
            assert status(port, "/api/workers") == 401
            assert status(port, "/", f"admin:{PASSWORD}") == 200
            assert status(port, "/broker", f"admin:{PASSWORD}") == 200
            # An argument would show to everybody who lists the processes.
            command_line = Path(f"/proc/{flower.process.pid}/cmdline").read_bytes()
            assert PASSWORD.encode() not in command_line


@pytest.mark.parametrize("is_in_address", [False, *long_only(True)])
def test_server_and_worker_share_a_database_that_takes_tls_alone_by_any_password(
    is_in_address, starts_mariadb, redis_server: RedisServer, tmp_path
):
    """What the server writes, the worker brings into the index: all read one address."""
    certificate = make_certificate(tmp_path, "localhost")
    options = (
        f"--ssl-cert={certificate.certificate}",
        f"--ssl-key={certificate.key}",
        "--require-secure-transport=ON",
    )
    with run_mariadb(tmp_path, *options) as mariadb:
        quoted = ODD.replace("\\", "\\\\").replace("'", "\\'")
        mariadb.execute(f"CREATE USER app@'%' IDENTIFIED BY '{quoted}'")
        mariadb.execute("GRANT ALL ON *.* TO app@'%'")
        address = mariadb.address.set(username="app", password=ODD, host="localhost")
        encryption = {"ssl_mode": "verify_identity", "ssl_ca": str(certificate.authority)}
        login = {
            "DATABASE_URL": address.update_query_dict(encryption).render_as_string(
                hide_password=False
            )
        }
        if not is_in_address:
            login = {
                "MYSQL_HOST": "localhost",
                "MYSQL_PORT": str(address.port),
                "MYSQL_DATABASE": str(address.database),
                "MYSQL_USER": "app",
                "MYSQL_PASSWORD": ODD,
                "MYSQL_SSL_MODE": "verify_identity",
                "MYSQL_SSL_CA": str(certificate.authority),
            }
        patience = {f"DATABASE_{name}TIMEOUT": "30" for name in ("", "QUERY_", "READ_")}
        variables = login | patience | {"REDIS_URL": redis_server.url, "WORKER_CONCURRENCY": "1"}
        with serving(tmp_path, **variables) as server, script("worker", tmp_path, **variables):
            account = {name.lower(): value for name, value in login.items()}
            app = create_app(load_settings(app_env="test", app_var_dir=tmp_path, **account))
            with closing(app), app.database.scope():
                app.services[UserService].create("ada", PASSWORD, [Role.AUTHOR])
            with httpx.Client(base_url=f"{server.url}/api/v1", timeout=30) as client:
                form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
                token = client.post("/auth/token", data=form).json()["access_token"]
                text = {"title": "Oolong", "body": "Steep it.", "published": True}
                headers = {"Authorization": f"Bearer {token}"}
                assert client.post("/articles", json=text, headers=headers).status_code == 201
                wait_until(
                    lambda: client.get("/search", params={"q": "oolong"}).json()["total"] == 1,
                    "the index's knowing of the article",
                )


def test_a_sign_of_life_that_is_old_or_missing_counts_as_none(tmp_path):
    file = tmp_path / "alive"
    assert not is_alive(file)
    file.touch()
    assert is_alive(file)
    os.utime(file, (0, 0))
    assert not is_alive(file)


def is_alive(file: Path) -> bool:
    """What the containers' health check says."""
    check = [ROOT / "compose" / "web" / "liveness.sh"]
    environment = os.environ | {"TASK_LIVENESS_FILE": str(file)}
    return subprocess.run(check, env=environment, check=False).returncode == 0


def test_the_scripts_are_clean():
    shellcheck = shutil.which("shellcheck", path=BIN)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed: the scripts were not checked")
    scripts = list(SCRIPTS.glob("*/start.sh"))
    assert len(scripts) == 3
    subprocess.run([shellcheck, *scripts], check=True)
