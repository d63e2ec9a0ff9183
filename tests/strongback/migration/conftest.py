from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import MetaData

from strongback.database import Database


@pytest.fixture
def bare(database: Database) -> Iterator[Database]:
    """A database without any table, left without any."""
    _drop_everything(database)
    yield database
    _drop_everything(database)


def _drop_everything(database: Database) -> None:
    metadata = MetaData()
    metadata.reflect(database.engine)
    metadata.drop_all(database.engine)
