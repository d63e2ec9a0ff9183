"""Revisions of an application whose table is called `task`, on the framework's tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, inspect, text

from strongback.database import Base, Database, Identifier, UTCDateTime
from strongback.migration.branch import MigrationError, name_revision
from strongback.migration.runner import Migrations, init_migrations, pending, upgrade
from strongback.migration.writing import branch_of_module

pytestmark = pytest.mark.speaks_sql


class Todo:
    """An application with one table; no model of the framework is imported into its metadata."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.versions = folder / "migrations" / "versions"
        self.versions.mkdir(parents=True, exist_ok=True)
        self.start_again()
        self.metadata = MetaData(
            info=Base.metadata.info, naming_convention=Base.metadata.naming_convention
        )

    def start_again(self) -> None:
        """Forget what was written, and read the folder anew."""
        for path in self.versions.glob("*.py"):
            path.unlink()
        self.app = Flask("todo")
        init_migrations(self.app, self.database, self.versions.parent)
        upgrade(self.app)

    @contextmanager
    def migrations(self) -> Iterator[Migrations]:
        migrations: Migrations = self.app.extensions["alembic"]
        migrations.metadatas["default"] = self.metadata
        with self.app.app_context():
            yield migrations

    def write(self, branch: str = "default", *, empty: bool = False) -> list[Path]:
        with self.migrations() as migrations:
            return [
                Path(script.path)
                for script in migrations.revision("It", empty, branch)
                if script is not None
            ]

    def declare_task(self) -> Table:
        return Table(
            "task",
            self.metadata,
            Column("id", Identifier, primary_key=True),
            Column("at", UTCDateTime, index=True),
        )

    @property
    def tables(self) -> set[str]:
        return set(inspect(self.database.engine).get_table_names())

    def execute(self, statement: str) -> None:
        with self.database.engine.begin() as connection:
            connection.execute(text(statement))


@pytest.fixture
def todo(bare: Database, tmp_path: Path) -> Todo:
    return Todo(bare, tmp_path)


def test_a_table_called_task_stands_beside_the_frameworks(todo):
    todo.declare_task()
    (path,) = todo.write()
    assert path.parent == todo.versions
    assert "sb_" not in path.read_text()
    upgrade(todo.app)
    assert {"task", "sb_task", "sb_outbox", "sb_version"} <= todo.tables
    with todo.migrations() as migrations:
        assert not migrations.needs_revision()


def test_a_revision_is_made_of_types_that_do_not_change_with_the_code(todo):
    todo.declare_task()
    (path,) = todo.write()
    content = path.read_text()
    assert "strongback" not in content
    assert 'sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")' in content


def test_the_way_back_is_open_on_every_back_end(todo):
    todo.declare_task()
    Table(
        "step",
        todo.metadata,
        Column("id", Identifier, primary_key=True),
        Column("task_id", ForeignKey("task.id"), index=True),
    )
    todo.write()
    upgrade(todo.app)
    with todo.migrations() as migrations:
        migrations.downgrade("default@base")
    assert {"task", "step"}.isdisjoint(todo.tables)


def test_a_branch_is_begun_once_and_followed_then(todo, monkeypatch):
    task = todo.declare_task()
    (first,) = todo.write("work")
    upgrade(todo.app)
    task.append_column(Column("name", String(20)))
    with todo.migrations() as migrations:
        monkeypatch.setattr(migrations, "rev_id", lambda: "9999999999")  # a later second
    (second,) = todo.write("work")
    assert first.parent == second.parent == todo.versions
    assert second.name == "9999999999_work_it.py"
    assert pending(todo.app) == ["9999999999_work"]
    upgrade(todo.app)
    with todo.migrations() as migrations:
        assert not migrations.needs_revision()


@pytest.mark.parametrize(
    "module, branch",
    [
        ("strongback.outbox.model", "outbox"),
        ("strongback.outbox", "outbox"),
        ("keyword", "default"),
    ],
)
def test_a_branch_has_the_name_of_the_models_package(module, branch):
    import_module(module)
    assert branch_of_module(module) == branch


def test_nothing_changed_is_nothing_written(todo):
    with pytest.raises(MigrationError, match="--empty -b BRANCH"):
        todo.write()
    assert list(todo.versions.iterdir()) == []


def test_nothing_is_written_for_a_database_that_lacks_revisions(todo):
    todo.declare_task()
    (path,) = todo.write()
    with pytest.raises(MigrationError, match=rf"lacks {path.stem.partition('_')[0]}.*db upgrade"):
        todo.write()


def test_an_empty_revision_belongs_to_the_branch_that_is_named(todo):
    (path,) = todo.write("work", empty=True)
    assert path.parent == todo.versions
    upgrade(todo.app)
    assert pending(todo.app) == []


def test_an_empty_revision_of_no_branch_is_refused(todo):
    with pytest.raises(MigrationError, match="-b BRANCH"):
        todo.write(empty=True)


def test_a_table_without_a_model_goes_by_the_branch_that_is_named_only(todo):
    todo.execute("CREATE TABLE stray (id INTEGER)")
    todo.execute("CREATE TABLE sb_absent_part (id INTEGER)")
    todo.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    with todo.migrations() as migrations:
        assert not migrations.needs_revision()
    todo.declare_task()
    (path,) = todo.write()
    assert "drop_table" not in path.read_text().partition("def downgrade")[0]
    todo.start_again()
    (path,) = todo.write("work")
    before, _, _ = path.read_text().partition("def downgrade")
    assert before.count("drop_table") == 1
    assert 'drop_table("stray")' in before.replace("'", '"')


def test_the_frameworks_tables_are_written_for_its_branch_only(todo):
    outbox = Base.metadata.tables["sb_outbox"].to_metadata(todo.metadata)
    outbox.append_column(Column("later", String(20)))
    todo.declare_task()
    (path,) = todo.write()
    assert "sb_outbox" not in path.read_text()
    with todo.migrations() as migrations:
        assert migrations.needs_revision()


def test_where_a_revision_stands_is_said_by_its_branch_alone(todo, subtests):
    todo.declare_task()
    for option in ({"parent": ("base",)}, {"splice": True}, {"label": "other"}, {"path": "x"}):
        with (
            subtests.test(option=option),
            todo.migrations() as migrations,
            pytest.raises(MigrationError, match="say -b alone"),
        ):
            migrations.revision("It", **option)
    assert list(todo.versions.iterdir()) == []


def test_a_name_fits_the_version_table():
    assert len(name_revision("1795742999", "a_package_of_a_very_long_name")) == 32
