from __future__ import annotations

import io
import random
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select, update

from strongback.database import Database, DatabaseMisuse, utc_now
from strongback.upload import KEPT, KEPT_AFTER_USE, PIECE, Upload, UploadGone, UploadPiece, Uploads
from tests.support.thread import run_together

pytestmark = pytest.mark.speaks_sql


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


class Watched(io.BytesIO):
    """A file during each of whose pieces something else happens."""

    def __init__(self, content: bytes, act) -> None:
        super().__init__(content)
        self.act = act

    def read(self, size: int | None = -1, /) -> bytes:
        run_together(self.act)
        return super().read(size)


@pytest.mark.parametrize("is_late", [False, True], ids=["by itself", "before a late transaction"])
def test_another_writer_waits_for_no_more_than_a_piece(uploads, database, is_late):
    others: list[int] = []
    file = Watched(b"x" * 3 * PIECE, lambda: others.append(keep(uploads, b"other")))

    def note(_: object) -> None: ...

    work = partial(uploads.keep, "a", file)
    number = database.transact_late(work, first=note, last=note) if is_late else work()
    assert len(others) == 4
    assert read(uploads, number) == b"x" * 3 * PIECE


def test_is_no_part_of_a_transaction(uploads, database):
    with pytest.raises(DatabaseMisuse, match="transaction is open"):
        database.transact(lambda _: keep(uploads, b"content"))
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
