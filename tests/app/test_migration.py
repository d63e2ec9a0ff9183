"""The revisions of the framework and of every slice, against the models."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Column, ForeignKey, MetaData, Row, Table, inspect, text

from app.core.config import ROOT, Settings
from app.main import create_app
from strongback.database import Base, Database, Identifier
from strongback.migration.branch import branch_of
from strongback.migration.runner import Migrations, init_migrations, upgrade

pytestmark = pytest.mark.speaks_sql

VERSIONS = ROOT / "migrations" / "versions"
SLICES = {
    branch_of(file.stem.removesuffix("_create_tables"))
    for file in VERSIONS.glob("*_create_tables.py")
}
"""Slices that have tables, or had some."""


class Project:
    """The reference application's models and revisions, in a folder of the test's own."""

    def __init__(self, settings: Settings, url: str, folder: Path) -> None:
        create_app(settings).services[Database].close()  # imports every model
        self.versions = folder / "migrations" / "versions"
        shutil.copytree(VERSIONS, self.versions)
        self.database = Database(settings.model_copy(update={"database_url": url}))
        self.empty()
        self.app = Flask("project")
        init_migrations(self.app, self.database, self.versions.parent)
        self.metadata = MetaData(
            naming_convention=Base.metadata.naming_convention, info=Base.metadata.info
        )
        for table in Base.metadata.sorted_tables:
            table.to_metadata(self.metadata)

    def empty(self) -> None:
        found = MetaData()
        found.reflect(self.database.engine)
        found.drop_all(self.database.engine)

    @contextmanager
    def migrations(self) -> Iterator[Migrations]:
        migrations: Migrations = self.app.extensions["alembic"]
        migrations.metadatas["default"] = self.metadata
        with self.app.app_context():
            yield migrations

    def write(self) -> dict[str, str]:
        """Write revisions for what has changed; returns their texts by branch."""
        with self.migrations() as migrations:
            scripts = [each for each in migrations.revision("Change") if each is not None]
        return {branch_of(each.revision): Path(each.path).read_text() for each in scripts}

    def execute(self, statement: str) -> Sequence[Row[Any]]:
        """Execute a statement; returns its rows, if any."""
        with self.database.engine.begin() as connection:
            result = connection.execute(text(statement))
            return result.all() if result.returns_rows else ()

    @property
    def tables(self) -> set[str]:
        return set(inspect(self.database.engine).get_table_names())


@pytest.fixture
def project(settings: Settings, database_url: str, tmp_path: Path) -> Iterator[Project]:
    project = Project(settings, database_url, tmp_path)
    yield project
    project.empty()
    project.database.close()


def test_the_revisions_make_what_the_models_say(project):
    upgrade(project.app)
    with project.migrations() as migrations:
        assert migrations.compare_metadata() == []
    assert project.tables == {*Base.metadata.tables, "sb_version"}


def test_the_way_back_leaves_nothing(project):
    upgrade(project.app)
    with project.migrations() as migrations:
        migrations.downgrade("base")
    assert project.tables == {"sb_version"}


def test_every_part_has_a_branch_with_one_last_revision_that_bears_its_name(project):
    with project.migrations() as migrations:
        heads = migrations.heads()
        revisions = migrations.log()
    assert Counter(branch_of(each.revision) for each in heads) == Counter(SLICES | {"strongback"})
    assert all(each.branch_labels == {branch_of(each.revision)} for each in revisions)


def test_the_frameworks_tables_and_no_others_begin_with_its_prefix():
    for mapper in Base.registry.mappers:
        assert isinstance(mapper.local_table, Table)
        is_ours = mapper.class_.__module__.startswith("strongback.")
        assert mapper.local_table.name.startswith("sb_") == is_ours


def test_what_refers_to_another_branch_depends_on_it(project):
    upgrade(project.app)
    Table(
        "bookmark",
        project.metadata,
        Column("id", Identifier, primary_key=True),
        Column("author", ForeignKey("user.username")),
    )
    (text,) = project.write().values()
    with project.migrations() as migrations:
        (user,) = (each for each in migrations.heads() if branch_of(each.revision) == "user")
    assert f"depends_on = '{user.revision}'" in text
