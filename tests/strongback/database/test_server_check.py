from __future__ import annotations

import os
import subprocess
import sys

import pytest
import structlog

from app.core.config import ROOT, Settings
from strongback.config import WebServer
from strongback.database.server_check import check_capacity
from strongback.exceptions import ConfigurationError
from strongback.testing.mariadb import MariaDB
from strongback.testing.port import free_port


@pytest.fixture
def on_mysql(settings: Settings, mariadb_server: MariaDB) -> Settings:
    return settings.model_copy(update={"database_url": mariadb_server.url, "web_workers": 2})


def allowed(server: MariaDB) -> int:
    return int(server.execute("SELECT @@max_connections")[0][0])


def test_pools_that_fit_are_taken_without_a_word(on_mysql, mariadb_server):
    with structlog.testing.capture_logs() as events:
        check_capacity(on_mysql)
    assert events == []


def test_pools_that_can_never_fit_are_refused_with_a_number_that_does(on_mysql, mariadb_server):
    most = allowed(mariadb_server)
    too_many = on_mysql.model_copy(update={"database_pool_size": most // 2 + 1})
    with pytest.raises(ConfigurationError, match=rf"DATABASE_POOL_SIZE={most // 2},") as caught:
        check_capacity(too_many)
    assert f"= {2 * (most // 2 + 1)} connections, and the database allows {most}" in str(
        caught.value
    )
    check_capacity(on_mysql.model_copy(update={"database_pool_size": most // 2}))


def test_the_limit_of_the_account_counts_too(on_mysql, mariadb_server):
    mariadb_server.execute("CREATE USER few@'%' IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 3")
    few = mariadb_server.address.set(username="few", password="few", database="")
    few_url = few.render_as_string(hide_password=False)
    try:
        with pytest.raises(ConfigurationError, match="the database allows 3"):
            check_capacity(on_mysql.model_copy(update={"database_url": few_url}))
    finally:
        mariadb_server.execute("DROP USER few@'%'")


def test_too_little_left_by_others_is_a_warning(on_mysql, mariadb_server):
    most = allowed(mariadb_server)
    others = [mariadb_server.connect() for _ in range(2)]
    try:
        with structlog.testing.capture_logs() as events:
            check_capacity(on_mysql.model_copy(update={"database_pool_size": most // 2}))
    finally:
        for other in others:
            other.close()
    assert [event["event"] for event in events] == ["database_connections_scarce"]
    assert events[0]["connected"] >= 2


def test_a_database_that_does_not_answer_keeps_nobody_from_starting(settings):
    absent = settings.model_copy(update={"database_url": "mysql+pymysql://root@127.0.0.1:1/x"})
    with structlog.testing.capture_logs() as events:
        check_capacity(absent)
    assert [event["event"] for event in events] == ["database_capacity_unknown"]


def test_sqlite_has_no_such_limit(settings):
    check_capacity(settings.model_copy(update={"database_pool_size": 1000, "web_workers": 256}))


@pytest.mark.parametrize("server", WebServer)
def test_neither_server_starts_with_pools_that_can_never_fit(server, mariadb_server, tmp_path):
    variables = {
        "DATABASE_URL": mariadb_server.url,
        "DATABASE_POOL_SIZE": "100",
        "WEB_WORKERS": str(allowed(mariadb_server)),
        "WEB_SERVER": server.value,
        "WEB_PORT": str(free_port()),
        "APP_VAR_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "strongback.server.serve", "app.main:create_app"],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode != 0
    assert "Error: WEB_WORKERS" in done.stderr
    assert "Traceback" not in done.stderr
