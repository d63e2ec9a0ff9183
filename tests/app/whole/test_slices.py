"""Revisions of several slices: one is taken out, two change at once."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Column, String

from strongback.migration.runner import init_migrations, pending, upgrade
from tests.app.test_migration import project

__all__ = ["project"]

pytestmark = pytest.mark.speaks_sql


@pytest.mark.parametrize("taken", ["comment", "notification"])
def test_a_slice_that_is_taken_out_leaves_the_others_working(project, taken):
    upgrade(project.app)
    for path in project.versions.glob(f"*_{taken}_*.py"):
        path.unlink()
    again = Flask("again")
    init_migrations(again, project.database, project.versions.parent)
    assert pending(again) == []
    project.empty()
    upgrade(again)
    assert taken not in project.tables
    assert project.tables > {"sb_outbox", "user", "article"}


def test_a_change_in_two_slices_is_a_revision_of_each(project):
    upgrade(project.app)
    for name in ("user", "comment"):
        project.metadata.tables[name].append_column(Column("motto", String(20)))
    written = project.write()
    assert set(written) == {"user", "comment"}
    assert '"user"' in written["user"].replace("'", '"')
    assert '"user"' not in written["comment"].replace("'", '"').partition("\ndef ")[2]
    upgrade(project.app)
    with project.migrations() as migrations:
        assert not migrations.needs_revision()
