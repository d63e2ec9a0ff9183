from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import MetaData

from strongback.config import Settings
from strongback.database import Database


@pytest.fixture
def bare(settings: Settings, database_url: str) -> Iterator[Database]:
    """A database without any table, left without any where others use it too."""
    settings = settings.model_copy(update={"database_url": database_url})
    database = Database(settings)
    _drop_everything(database)
    yield database
    if not settings.is_sqlite:
        _drop_everything(database)
    database.close()


def _drop_everything(database: Database) -> None:
    metadata = MetaData()
    metadata.reflect(database.engine)
    metadata.drop_all(database.engine)
