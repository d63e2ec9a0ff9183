from __future__ import annotations

from collections.abc import Iterator

import pytest

from strongback.config import Settings
from tests.support.bucket import Bucket, run_bucket
from tests.support.cabinet import Cabinet, open_cabinet


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with run_bucket() as bucket:
        yield bucket


@pytest.fixture
def cabinet(settings: Settings, database_url: str) -> Iterator[Cabinet]:
    cabinet = open_cabinet(settings, database_url=database_url)
    yield cabinet
    cabinet.app.close()
