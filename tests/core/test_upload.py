from __future__ import annotations

import io
import random
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.core.database import Database, utc_now
from app.core.upload import KEPT, KEPT_AFTER_USE, PIECE, Upload, UploadGone, UploadPiece, Uploads


@pytest.fixture
def uploads(database: Database) -> Uploads:
    return Uploads(database)


def count(database: Database, model: type) -> int:
    with database.scope():
        return database.session.scalar(select(func.count()).select_from(model)) or 0


def keep(uploads: Uploads, content: bytes, name: str = "a.zip") -> int:
    return uploads.keep(name, io.BytesIO(content))


def read(uploads: Uploads, number: int) -> bytes:
    with uploads.database.scope(), uploads.open(number) as file:
        return file.read()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
def test_is_read_back_to_the_byte(uploads, database, size):
    content = random.Random(size).randbytes(size)
    number = keep(uploads, content)
    assert read(uploads, number) == content
    assert count(database, UploadPiece) == -(-size // PIECE)


def test_is_kept_from_its_start(uploads):
    file = io.BytesIO(b"content")
    file.read()
    assert read(uploads, uploads.keep("a", file)) == b"content"


def test_knows_its_size_and_a_name_that_fits(uploads, database):
    number = keep(uploads, b"x" * 1000, "名" * 300)
    with database.scope():
        upload = database.session.get_one(Upload, number)
        assert (upload.size, upload.name) == (1000, "名" * 200)


def test_is_undone_with_the_transaction_that_it_belongs_to(uploads, database):
    def fail(_session):
        keep(uploads, b"content")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  raised above
        database.transact(fail)
    assert (count(database, Upload), count(database, UploadPiece)) == (0, 0)


def test_of_an_unknown_number_is_gone(uploads, database):
    with database.scope(), pytest.raises(UploadGone, match="send the file again"):
        uploads.open(999)


def age(database: Database, number: int, **moments) -> None:
    query = update(Upload).where(Upload.id == number).values(**moments)
    database.transact(lambda session: session.execute(query))


def test_is_deleted_once_it_was_used_or_is_old(uploads, database):
    numbers = [keep(uploads, b"x" * 100) for _ in range(5)]
    used, used_long_ago, old, young, _ = numbers
    now = utc_now()
    uploads.release(used)
    age(database, used_long_ago, used_at=now - KEPT_AFTER_USE - timedelta(seconds=1))
    age(database, old, created_at=now - KEPT - timedelta(seconds=1))
    age(database, young, created_at=now - KEPT + timedelta(seconds=60))
    with database.scope():
        assert uploads.clean() == 2
        assert uploads.clean() == 0
    assert count(database, Upload) == count(database, UploadPiece) == 3
    with database.scope(), pytest.raises(UploadGone):
        uploads.open(used_long_ago)
