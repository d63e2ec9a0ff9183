"""An application with three branches beside the framework's; one of them can go, or be ahead."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.cli import FlaskGroup
from sqlalchemy import inspect, text

from strongback.database import Database
from strongback.migration.branch import FIRST_EDITION, MigrationError, branch_of
from strongback.migration.runner import Migrations, init_migrations, pending, upgrade
from tests.support.first_edition import make_first_edition

pytestmark = pytest.mark.speaks_sql

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {follows!r}
branch_labels = {labels!r}
depends_on = {needs!r}


def upgrade():
    op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True){key})


def downgrade():
    op.drop_table("{table}")
"""


class Todo:
    """The application: a `task` of its own, lists that need people, notes that need both."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder / "migrations"
        (self.folder / "versions").mkdir(parents=True)
        self.add("1_person", "person")
        self.add("1_task", "task", needs="1_person", refers="person")
        self.add("1_note", "note", needs=("1_task", "1_person"), refers="task")

    def add(
        self,
        name: str,
        table: str,
        follows: str | None = None,
        needs: str | tuple[str, ...] | None = None,
        refers: str | None = None,
    ) -> None:
        """Write a revision that makes a table."""
        key = f', sa.Column("x", sa.Integer(), sa.ForeignKey("{refers}.id"))' if refers else ""
        labels = None if follows else (branch_of(name),)
        content = REVISION.format(
            name=name, follows=follows, labels=labels, needs=needs, table=table, key=key
        )
        (self.folder / "versions" / f"{name}.py").write_text(content)

    def remove(self, branch: str) -> None:
        for path in (self.folder / "versions").glob(f"*_{branch}.py"):
            path.unlink()

    def start(self) -> Flask:
        app = Flask("todo")
        init_migrations(app, self.database, self.folder)
        return app

    def run(self, *arguments: str) -> str:
        app = self.start()
        flask = FlaskGroup(create_app=lambda: app, load_dotenv=False, set_debug_flag=False)
        result = app.test_cli_runner().invoke(flask, ["db", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    @property
    def applied(self) -> set[str]:
        with self.database.engine.connect() as connection:
            return set(connection.scalars(text("SELECT version_num FROM sb_version")))

    @property
    def own(self) -> set[str]:
        return {name for name in self.applied if branch_of(name) != "strongback"}

    @property
    def tables(self) -> set[str]:
        return set(inspect(self.database.engine).get_table_names())


@pytest.fixture
def todo(bare: Database, tmp_path: Path) -> Todo:
    return Todo(bare, tmp_path)


def test_every_branch_has_its_row_whatever_depends_on_it(todo):
    upgrade(todo.start())
    assert {branch_of(name) for name in todo.applied} == {"strongback", "person", "task", "note"}
    assert {"task", "sb_task", "person", "note"} <= todo.tables


def test_branches_go_on_where_they_are(todo):
    upgrade(todo.start())
    todo.add("2_person", "friend", follows="1_person")
    todo.add("2_note", "page", follows="1_note", needs="2_person", refers="friend")
    assert pending(todo.start()) == ["2_person", "2_note"]
    upgrade(todo.start())
    assert todo.own == {"2_person", "1_task", "2_note"}
    assert pending(todo.start()) == []


def test_a_branch_that_is_taken_out_leaves_the_others_working(todo):
    upgrade(todo.start())
    todo.remove("note")
    assert pending(todo.start()) == []
    todo.add("2_task", "list", follows="1_task", needs="1_person", refers="person")
    todo.add("1_tag", "tag", needs="2_task", refers="list")
    assert pending(todo.start()) == ["2_task", "1_tag"]
    upgrade(todo.start())
    assert pending(todo.start()) == []
    assert todo.own == {"1_person", "2_task", "1_tag", "1_note"}
    assert "2_task (task)" in todo.run("current")


def test_a_branch_that_is_ahead_lacks_nothing_and_the_others_are_judged_by_themselves(todo):
    todo.add("2_task", "list", follows="1_task")
    upgrade(todo.start())
    (todo.folder / "versions" / "2_task.py").unlink()
    todo.add("2_person", "friend", follows="1_person")
    assert pending(todo.start()) == ["2_person"]
    upgrade(todo.start())
    assert todo.own == {"2_person", "2_task", "1_note"}


def test_a_branch_goes_back_alone(todo):
    upgrade(todo.start())
    todo.run("downgrade", "note@base")
    assert todo.own == {"1_person", "1_task"}
    assert "note" not in todo.tables
    upgrade(todo.start())
    assert todo.own == {"1_person", "1_task", "1_note"}


def test_a_step_back_on_no_branch_is_refused(todo):
    upgrade(todo.start())
    app = todo.start()
    migrations: Migrations = app.extensions["alembic"]
    with app.app_context(), pytest.raises(MigrationError, match="BRANCH@-1"):
        migrations.downgrade()


@pytest.mark.parametrize("target", ["kitchen@-1", "kitchen"])
def test_a_branch_that_does_not_exist_is_refused_with_the_others_names(todo, target):
    app = todo.start()
    upgrade(app)
    migrations: Migrations = app.extensions["alembic"]
    with (
        app.app_context(),
        pytest.raises(MigrationError, match=r"'kitchen'.* the branches note, person, strongback"),
    ):
        migrations.downgrade(target)


def test_a_step_back_is_taken_on_the_branch_that_is_named(todo):
    upgrade(todo.start())
    todo.run("downgrade", "task@-1")
    assert todo.own == {"1_person"}


def test_what_depends_on_a_branch_goes_back_before_it(todo):
    upgrade(todo.start())
    todo.run("downgrade", "person@base")
    assert todo.own == set()
    assert {"person", "task", "note"}.isdisjoint(todo.tables)


def test_stamping_gives_every_branch_its_row(todo):
    todo.run("stamp")
    assert todo.own == {"1_person", "1_task", "1_note"}
    assert pending(todo.start()) == []


def test_stamping_a_branch_moves_its_row_alone(todo):
    todo.run("stamp")
    todo.add("2_person", "friend", follows="1_person")
    todo.run("stamp", "2_person")
    assert todo.own == {"2_person", "1_task", "1_note"}


def test_another_programs_versions_stand_beside_ours(todo, bare):
    with bare.engine.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    upgrade(todo.start())
    assert pending(todo.start()) == []
    with bare.engine.connect() as connection:
        theirs = connection.scalars(text("SELECT version_num FROM alembic_version")).all()
    assert theirs == ["theirs"]


@pytest.mark.parametrize("revision", [min(FIRST_EDITION), max(FIRST_EDITION)])
def test_a_database_of_the_first_edition_is_refused_and_left_as_it_is(todo, bare, revision):
    make_first_edition(bare, revision)
    for refused in (pending, upgrade):
        with pytest.raises(MigrationError, match="back it up with the first edition"):
            refused(todo.start())
    assert todo.tables == {"alembic_version", "outbox"}


def test_branches_are_not_merged(todo):
    app = todo.start()
    migrations: Migrations = app.extensions["alembic"]
    with app.app_context(), pytest.raises(MigrationError, match="down_revision"):
        migrations.merge()
