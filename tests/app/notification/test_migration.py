"""The table of notifications of earlier releases, and the framework's."""

from __future__ import annotations

import pytest

from strongback.migration.runner import upgrade
from tests.app.test_migration import project

__all__ = ["project"]

pytestmark = pytest.mark.speaks_sql


def test_notifications_of_an_earlier_release_go_to_the_frameworks_table_and_back(project):
    earlier = "1795742999_notification"
    with project.migrations() as migrations:
        migrations.upgrade(earlier)
    project.execute(
        "INSERT INTO user (id, username, roles, disabled, created_at, updated_at)"
        " VALUES (7, 'eve', '[]', 0, '2026-11-01 08:00:00', '2026-11-01 08:00:00')"
    )
    project.execute(
        "INSERT INTO notification (id, recipient, kind, subject, actor, data, created_at) VALUES"
        " (3, 'eve', 'article:published', 'article:1', 'ada', '{}', '2026-11-02 08:00:00')"
    )
    upgrade(project.app)
    (row,) = project.execute("SELECT * FROM sb_notification")
    assert (row.id, row.recipient, row.subject, row.actor) == (3, 7, "article:1", "ada")
    assert row.listed
    with project.migrations() as migrations:
        migrations.downgrade(earlier)
    (row,) = project.execute("SELECT * FROM notification")
    assert (row.id, row.recipient, row.subject, row.read_at) == (3, "eve", "article:1", None)
    upgrade(project.app)
    assert len(project.execute("SELECT * FROM sb_notification")) == 1
