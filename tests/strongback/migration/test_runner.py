from __future__ import annotations

import logging
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy import func, inspect, select
from sqlalchemy import table as sql_table
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from app.core.config import Settings
from strongback.database import Database
from strongback.migration.branch import MigrationError, branch_of
from strongback.migration.runner import init_migrations, pending, upgrade
from strongback.testing.mariadb import MariaDB, OwnMariaDB

pytestmark = pytest.mark.speaks_sql

FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "1_thing"
down_revision = None
branch_labels = ("thing",)
depends_on = None


def upgrade():
    op.create_table("parent", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_table(
        "child",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("parent_id", sa.Integer(), sa.ForeignKey("parent.id", ondelete="CASCADE")),
    )
    op.execute("INSERT INTO parent (id) VALUES (1)")
    op.execute("INSERT INTO child (id, parent_id) VALUES (1, 1)")


def downgrade():
    op.drop_table("child")
    op.drop_table("parent")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision = "2_thing"
down_revision = "1_thing"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("parent") as table:
        table.add_column(sa.Column("name", sa.String(20)))
        table.create_unique_constraint("uq_parent_name", ["name"])


def downgrade():
    with op.batch_alter_table("parent") as table:
        table.drop_column("name")
"""
BROKEN = """
from alembic import op

revision = "3_thing"
down_revision = "2_thing"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("DELETE FROM parent")


def downgrade():
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two revisions, the second of which rebuilds a table that others refer to."""
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "first.py").write_text(FIRST)
    (versions / "second.py").write_text(SECOND)
    return versions.parent


@pytest.fixture
def app(bare: Database, folder: Path):
    app = Flask(__name__)
    init_migrations(app, bare, folder)
    return app


def _rows(database: Database, table: str) -> int | None:
    with database.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(sql_table(table)))


def _of_things(revisions: list[str]) -> list[str]:
    return [each for each in revisions if branch_of(each) == "thing"]


def _upgrade_in_process(settings: Settings, folder: Path, both_ready: Barrier) -> None:
    database = Database(settings)
    app = Flask(__name__)
    init_migrations(app, database, folder)
    both_ready.wait(30)
    upgrade(app)
    database.close()


def test_upgrade_from_empty_and_again(app, bare):
    lacking = pending(app)
    assert _of_things(lacking) == ["1_thing", "2_thing"]
    with capture_logs() as events:
        upgrade(app)
        upgrade(app)
    assert pending(app) == []
    assert [event["revision"] for event in events] == lacking


def test_rebuilding_a_table_keeps_the_rows_that_refer_to_it(app, bare):
    upgrade(app)
    assert (_rows(bare, "parent"), _rows(bare, "child")) == (1, 1)


@pytest.mark.usefixtures("starts_processes")
def test_two_processes_upgrade_once(app, bare, settings, database_url, folder):
    settings = settings.model_copy(update={"database_url": database_url})
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # imported once for all
    arguments = (settings, folder, context.Barrier(2))
    processes = [context.Process(target=_upgrade_in_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert (pending(app), _rows(bare, "child")) == ([], 1)


@pytest.fixture
def stopped(own_mariadb: OwnMariaDB) -> OwnMariaDB:
    """A server that has been there and may come back."""
    own_mariadb.stop()
    return own_mariadb


def _app_on(server: MariaDB, settings: Settings, folder: Path, wait: float) -> Flask:
    database = Database(settings.model_copy(update={"database_url": server.url}))
    app = Flask(__name__)
    init_migrations(app, database, folder, wait)
    return app


def test_a_server_that_is_still_starting_is_waited_for(stopped, settings, folder):
    app = _app_on(stopped, settings, folder, wait=60)
    with capture_logs() as events, ThreadPoolExecutor(1) as pool:
        upgraded = pool.submit(upgrade, app)
        while not events:
            assert not upgraded.done()
            time.sleep(0.01)
        stopped.start()
        upgraded.result()
    first, *others = [event["event"] for event in events]
    assert (first, set(others)) == ("waiting_for_database", {"migration_applied"})


def test_a_server_that_does_not_come_is_an_error(stopped, settings, folder):
    with pytest.raises(OperationalError, match="2003"):
        upgrade(_app_on(stopped, settings, folder, wait=0))


def test_a_wrong_password_is_not_waited_over(stopped, settings, folder):
    stopped.start()
    stopped.execute("CREATE USER 'known'@'%' IDENTIFIED BY 'right'")
    address = stopped.address.set(username="known", password="wrong")
    with pytest.raises(OperationalError, match="1045"):
        upgrade(_app_on(MariaDB(address), settings, folder, wait=3600))


def test_database_ahead_of_the_code_lacks_nothing(app, bare, folder):
    upgrade(app)
    (folder / "versions" / "second.py").unlink()
    older = Flask("older")
    init_migrations(older, bare, folder)
    assert pending(older) == []


def test_commands_are_there(app, bare):
    flask = FlaskGroup(create_app=lambda: app, load_dotenv=False, set_debug_flag=False)
    result = app.test_cli_runner().invoke(flask, ["db", "upgrade"])
    assert (result.exception, pending(app)) == (None, [])


def test_sqlite_keeps_nothing_of_a_revision_that_breaks_references(settings, folder):
    (folder / "versions" / "third.py").write_text(BROKEN)
    database = Database(settings)
    app = Flask(__name__)
    init_migrations(app, database, folder)
    with pytest.raises(MigrationError, match="child"):
        upgrade(app)
    assert _of_things(pending(app)) == ["1_thing", "2_thing", "3_thing"]
    assert inspect(database.engine).get_table_names() == []
    database.close()


def test_adds_no_log_handler(app):
    assert not [
        h for h in logging.getLogger("alembic").handlers if type(h) is logging.StreamHandler
    ]
