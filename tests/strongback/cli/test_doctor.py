from __future__ import annotations

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import Result
from pydantic import SecretStr

from app.core.config import Settings
from app.main import create_app
from strongback.database import Database
from strongback.migration.branch import FIRST_EDITION
from strongback.testing.mariadb import MariaDB
from strongback.testing.port import free_port
from tests.support.first_edition import make_first_edition
from tests.support.meilisearch import MASTER_KEY, run_meilisearch

DOCTOR = f"doctor_{os.getpid()}"
"""An account of this process, whose server others use too."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"web_port": free_port()})


@pytest.fixture
def ready(settings: Settings, migrated: Path) -> Settings:
    """Settings of an application whose database lacks no revision."""
    settings.app_var_dir.mkdir()
    shutil.copy(migrated, settings.app_var_dir)
    return settings


def examine(settings: Settings) -> Result:
    app = create_app(settings)
    try:
        return app.test_cli_runner().invoke(args=["doctor"])
    finally:
        app.close()


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Somebody else's web server."""
    server = http.server.HTTPServer(("127.0.0.1", port), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_healthy_application_passes(ready):
    result = examine(ready)
    assert result.exit_code == 0, result.output
    assert "PROBLEM" not in result.output
    assert "The schema is up to date" in result.output


def test_missing_migrations_are_named_with_the_command(settings):
    result = examine(settings)
    assert result.exit_code == 1
    assert "-> flask --app app.main db upgrade" in result.output


def test_a_database_of_the_first_edition_is_named_with_what_to_do(settings):
    app = create_app(settings)
    make_first_edition(app.services[Database], max(FIRST_EDITION))
    app.close()
    result = examine(settings)
    assert result.exit_code == 1
    assert "PROBLEM  This database is of the first edition" in result.output
    assert "back it up with the first edition" in result.output


def test_a_port_that_somebody_else_has_is_named_with_another(ready):
    with stranger(ready.web_port):
        result = examine(ready)
    assert result.exit_code == 1
    assert f"Port {ready.web_port} on 127.0.0.1 is taken" in result.output
    assert f"WEB_PORT={ready.web_port + 10}" in result.output


def test_a_folder_that_cannot_be_written_is_named_with_its_variable(settings, tmp_path):
    (tmp_path / "file").touch()
    changes = {
        "app_var_dir": tmp_path / "file" / "var",
        "database_url": f"sqlite:///{tmp_path / 'app.db'}",
    }
    result = examine(settings.model_copy(update=changes))
    assert result.exit_code == 1
    assert "APP_VAR_DIR=/path" in result.output


def test_a_database_that_is_not_there_is_named_with_its_variables(settings):
    absent = "mysql+pymysql://root:secret-word@127.0.0.1:1/x"
    result = examine(settings.model_copy(update={"database_url": absent}))
    assert result.exit_code == 1
    assert "MYSQL_HOST, MYSQL_PORT or DATABASE_URL" in result.output
    assert "secret-word" not in result.output


def test_a_redis_that_is_not_there_is_named_with_its_variable(ready):
    result = examine(ready.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    assert result.exit_code == 1
    assert "Redis is not usable" in result.output
    assert "REDIS_URL" in result.output


def test_a_broker_that_is_not_there_is_named_with_its_variable(ready):
    absent = "redis://:secret-word@127.0.0.1:1/0"
    result = examine(ready.model_copy(update={"celery_broker_url": absent}))
    assert result.exit_code == 1
    assert "The broker of the tasks is not usable" in result.output
    assert "CELERY_BROKER_URL" in result.output
    assert "secret-word" not in result.output


def with_meilisearch(settings: Settings, url: str, key: str) -> Result:
    changes = {"meili_url": url, "meili_master_key": SecretStr(key)}
    return examine(settings.model_copy(update=changes))


class TestMeilisearch:
    def test_one_that_lets_us_in_passes(self, ready):
        with run_meilisearch() as server:
            result = with_meilisearch(ready, server.url, MASTER_KEY)
        assert result.exit_code == 0, result.output
        assert "The search engine meilisearch answers" in result.output

    def test_one_that_is_not_there_is_named_with_its_variable(self, ready):
        result = with_meilisearch(ready, "http://127.0.0.1:1", MASTER_KEY)
        assert result.exit_code == 1
        assert "MEILI_URL names it" in result.output


class TestMySQL:
    @pytest.fixture
    def account(self, mariadb_server: MariaDB) -> Iterator[MariaDB]:
        mariadb_server.execute(f"CREATE USER {DOCTOR}@'%' IDENTIFIED BY 'right'")
        yield mariadb_server
        mariadb_server.execute(f"DROP USER {DOCTOR}@'%'")

    def examine(self, settings: Settings, server: MariaDB, password: str) -> Result:
        url = server.address.set(username=DOCTOR, password=password)
        address = url.render_as_string(hide_password=False)
        return examine(settings.model_copy(update={"database_url": address}))

    def test_another_password_than_the_volumes_is_explained(self, settings, account):
        result = self.examine(settings, account, "wrong")
        assert result.exit_code == 1
        assert "keeps the password with which its volume was made" in result.output
        assert "docker compose down --volumes" in result.output

    def test_a_database_that_the_account_may_not_use_is_explained(self, settings, account):
        result = self.examine(settings, account, "right")
        assert result.exit_code == 1
        assert "GRANT ALL" in result.output

    def test_pools_that_do_not_fit_are_a_finding(self, settings, mariadb_server):
        result = examine(
            settings.model_copy(
                update={"database_url": mariadb_server.url, "database_pool_size": 1000}
            )
        )
        assert result.exit_code == 1
        assert "connections, and the database allows" in result.output


def test_it_changes_nothing(settings, tmp_path):
    before = set(Path(tmp_path).rglob("*"))
    examine(settings)
    left = {path for path in set(Path(tmp_path).rglob("*")) - before if path.is_file()}
    assert not [path for path in left if path.suffix not in {".db", ".db-wal", ".db-shm"}]
