"""The remedy for a database that cannot be used fits its cause."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from strongback.database.remedy import remedy_for


def test_a_full_disk_needs_room(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path / 'full.db'}")
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 1"))
        with pytest.raises(OperationalError) as caught:
            connection.execute(text("CREATE TABLE tea (leaf)"))
    engine.dispose()
    assert remedy_for(caught.value) == "Make room on the disk of the database"


def test_a_locked_file_is_waited_for(tmp_path):
    writer = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    engine = create_engine(f"sqlite:///{tmp_path / 'locked.db'}", connect_args={"timeout": 0})
    with engine.connect() as connection, pytest.raises(OperationalError) as caught:
        connection.execute(text("CREATE TABLE tea (leaf)"))
    engine.dispose()
    writer.close()
    assert (remedy_for(caught.value) or "").startswith("Another process is writing to it")
