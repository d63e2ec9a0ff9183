"""Tests of an application: a pytest plugin, and the servers that tests start themselves.

The plugin is there once the extra `testing` is installed. A `conftest.py` says what is tested:

    import pytest

    from shop.config import Settings
    from shop.main import create_app


    @pytest.fixture(scope="session")
    def settings_class():
        return Settings


    @pytest.fixture(scope="session")
    def application_factory():
        return create_app

and a test asks for what it needs:

    def test_a_task_is_added(client, sign_in):
        response = client.post("/api/v1/tasks", json={"title": "Tea"}, headers=sign_in(1))
        assert response.status_code == 201

`database`, `app` and `client` are there once on SQLite and once on MariaDB. A test that asks a
server, directly or through another fixture, has the mark `process` and that of the server:
`pytest -m 'not process'` runs those that start nothing.
"""

from strongback.testing.database import empty
from strongback.testing.mariadb import MariaDB, OwnMariaDB, run_mariadb
from strongback.testing.port import free_port
from strongback.testing.redis import RedisServer, run_redis
from strongback.testing.sign_in import access_token

__all__ = [
    "MariaDB",
    "OwnMariaDB",
    "RedisServer",
    "access_token",
    "empty",
    "free_port",
    "run_mariadb",
    "run_redis",
]
