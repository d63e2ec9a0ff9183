"""Revisions of several slices: one is taken out, two change at once."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Column, String

from strongback.migration.runner import init_migrations, pending, upgrade
from tests.app.test_migration import house

__all__ = ["house"]

pytestmark = pytest.mark.speaks_sql


@pytest.mark.parametrize("taken", ["comment", "notification"])
def test_a_slice_that_is_taken_out_leaves_the_others_working(house, taken):
    upgrade(house.app)
    for path in house.versions.glob(f"*_{taken}_*.py"):
        path.unlink()
    again = Flask("again")
    init_migrations(again, house.database, house.versions.parent)
    assert pending(again) == []
    house.empty()
    upgrade(again)
    assert taken not in house.tables
    assert house.tables > {"sb_outbox", "user", "article"}


def test_a_change_in_two_slices_is_a_revision_of_each(house):
    upgrade(house.app)
    for name in ("user", "comment"):
        house.metadata.tables[name].append_column(Column("motto", String(20)))
    written = house.write()
    assert set(written) == {"user", "comment"}
    assert '"user"' in written["user"].replace("'", '"')
    assert '"user"' not in written["comment"].replace("'", '"').partition("\ndef ")[2]
    upgrade(house.app)
    with house.migrations() as migrations:
        assert not migrations.needs_revision()
