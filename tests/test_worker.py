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
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.core.config import ROOT
from strongback.task.liveness import INTERVAL
from strongback.testing.mariadb import run_mariadb
from strongback.testing.port import free_port
from strongback.testing.redis import RedisServer, run_redis
from tests.live import serving
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


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_wrong_setting_is_one_line(name, tmp_path):
    with script(name, tmp_path, REDIS_URL="redis://127.0.0.1:1/0", WEB_THREADS="many") as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith("WEB_THREADS: ")
    assert len(output.splitlines()) == 1


def test_flower_refuses_to_start_without_a_password(tmp_path):
    with script(
        "flower", tmp_path, REDIS_URL="redis://127.0.0.1:1/0", FLOWER_PASSWORD=""
    ) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith("FLOWER_PASSWORD: ")


@pytest.mark.parametrize(
    "variable, value",
    [
        ("FLOWER_PASSWORD", "half,half-of-a-long-password"),
        ("FLOWER_PASSWORD", "密码-of-sufficient-length"),
        ("FLOWER_USER", "a:b"),
        ("FLOWER_USER", "a,b"),
        ("FLOWER_USER", "管理员"),
    ],
)
def test_flower_refuses_a_login_that_it_cannot_check(variable, value, tmp_path):
    login = {"FLOWER_PASSWORD": PASSWORD} | {variable: value}
    with script("flower", tmp_path, REDIS_URL="redis://127.0.0.1:1/0", **login) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output.startswith(f"{variable}: ")


def test_flower_answers_those_who_know_the_password(redis_server: RedisServer, tmp_path):
    pytest.importorskip("flower", reason="Flower is not installed: its pages were not tested")
    port = free_port()
    variables = {
        "REDIS_URL": redis_server.url,
        "FLOWER_PASSWORD": PASSWORD,
        "FLOWER_PORT": str(port),
    }
    with script("flower", tmp_path, **variables) as process:
        wait_until(lambda: status(port, "/") is not None, "Flower's start", 60)
        for path in ("/", "/workers", "/broker", "/tasks"):
            assert status(port, path) == 401
            assert status(port, path, "admin:wrong") == 401
        assert status(port, "/api/workers") == 401
        assert status(port, "/", f"admin:{PASSWORD}") == 200
        # An argument would show to everybody who lists the processes.
        assert PASSWORD.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()


def touched(file: Path) -> float:
    """When the file was touched last; 0 where there is none."""
    return file.stat().st_mtime if file.exists() else 0.0


@pytest.mark.parametrize("name", ["worker", "beat"])
def test_a_process_that_can_work_shows_it(name, redis_server: RedisServer, tmp_path):
    file = tmp_path / "alive"
    variables = {"APP_ENV": "test", "APP_VAR_DIR": str(tmp_path)}
    flask = [sys.executable, "-m", "flask", "--app", "app.main", "db", "upgrade"]
    subprocess.run(flask, env=os.environ | variables, cwd=ROOT, check=True)
    with script(name, tmp_path, REDIS_URL=redis_server.url, TASK_LIVENESS_FILE=str(file)):
        wait_until(lambda: touched(file) > 0, "the first sign of life", 60)
        first = touched(file)
        wait_until(lambda: touched(file) > first, "another one")
        assert is_alive(file)


ODD = "p%40@:/#?& '\"\\[汉"
"""A password that would mean something else in an address or a file of settings."""


@pytest.mark.usefixtures("starts_redis")
@pytest.mark.parametrize(
    "name, is_in_address",
    [
        *(("worker", True), ("beat", False), ("flower", True)),
        *long_only(("worker", False), ("beat", True), ("flower", False)),
    ],
)
def test_in_production_a_process_signs_in_to_redis_by_any_password(name, is_in_address, tmp_path):
    """And with the key that it needs: beat and Flower with none."""
    file, port = tmp_path / "alive", free_port()
    with run_redis(tmp_path, password=ODD) as redis:
        login = {"REDIS_URL": redis.url}
        if not is_in_address:
            login = {"REDIS_URL": f"redis://127.0.0.1:{redis.port}/0", "REDIS_PASSWORD": ODD}
        variables = login | {
            "APP_ENV": "production",
            "APP_VAR_DIR": str(tmp_path),
            "APP_SECRET_KEY": secrets.token_urlsafe(48),
            "TASK_LIVENESS_FILE": str(file),
            "FLOWER_PASSWORD": PASSWORD,
            "FLOWER_PORT": str(port),
        }
        flask = [sys.executable, "-m", "flask", "--app", "app.main", "db", "upgrade"]
        subprocess.run(flask, env=os.environ | variables, cwd=ROOT, check=True)
        if name != "worker":
            variables["APP_SECRET_KEY"] = ""
        with script(name, tmp_path, **variables):
            if name == "flower":
                wait_until(lambda: status(port, "/") is not None, "Flower's start")
                assert status(port, "/broker", f"admin:{PASSWORD}") == 200
            else:
                wait_until(lambda: touched(file) > 0, "the first sign of life")


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
        variables = login | patience | {"REDIS_URL": redis_server.url}
        with serving(tmp_path, **variables) as server, script("worker", tmp_path, **variables):
            flask = [sys.executable, "-m", "flask", "--app", "app.main"]
            command = [*flask, "user", "create", "ada", "--role", "author", "--password", PASSWORD]
            environment = os.environ | {"APP_ENV": "test", "APP_VAR_DIR": str(tmp_path)}
            subprocess.run(command, env=environment | variables, cwd=ROOT, check=True)
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


def test_a_worker_without_its_broker_shows_no_life(redis_server: RedisServer, tmp_path):
    file = tmp_path / "alive"
    with script("worker", tmp_path, REDIS_URL=redis_server.url, TASK_LIVENESS_FILE=str(file)):
        wait_until(lambda: touched(file) > 0, "the first sign of life", 60)
        redis_server.kill()
        wait_until(lambda: time.time() - touched(file) > 3 * INTERVAL, "a silence")


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
