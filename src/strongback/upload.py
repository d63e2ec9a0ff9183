"""Files that a request stores in the database for a job, for a limited time.

A worker may run on another machine, which shares the database and no disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import IO

from sqlalchemy import ForeignKey, LargeBinary, String, insert, or_, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, Session, mapped_column

from strongback.database import (
    Base,
    Database,
    Identified,
    delete_in_batches,
    transactional,
    utc_now,
)
from strongback.exceptions import StrongbackError

PIECE = 512 * 1024
"""Bytes per row: MySQL limits packets to 16 MiB, and often less."""
IN_MEMORY = 1024 * 1024
"""Bytes up to which an upload is read into memory; larger ones use a temporary file."""
KEPT = timedelta(days=1)
"""Time for which an unused upload is kept."""
KEPT_AFTER_USE = timedelta(hours=1)
"""Time for which a used upload is kept, in case its job runs again after a crash."""
NAME_LENGTH = 200

# MySQL's BLOB ends at 64 KiB, its MEDIUMBLOB at 16 MiB.
Piece = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


class UploadGone(StrongbackError):
    """The upload was deleted: its job started more than a day later."""


class Upload(Identified, Base):
    """A file for a job."""

    __tablename__ = "sb_upload"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    """Name given by the sender, for messages only."""
    size: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    used_at: Mapped[datetime | None] = mapped_column(index=True)
    """Time at which its job has finished with it."""


class UploadPiece(Base):
    """A part of a file."""

    __tablename__ = "sb_upload_piece"

    upload_id: Mapped[int] = mapped_column(
        ForeignKey("sb_upload.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(Piece)


def _begin(session: Session, name: str, size: int) -> int:
    upload = Upload(name=name, size=size)
    session.add(upload)
    session.flush()
    return upload.id


def _add(session: Session, row: dict[str, object]) -> None:
    session.execute(insert(UploadPiece), row)


class Uploads:
    """Stores files for jobs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def keep(self, name: str, file: IO[bytes]) -> int:
        """Store a file, each piece in a transaction of its own; returns its id.

        They are committed before the caller's transaction, so that a large file holds no locks. A
        file whose job is never started is deleted after `KEPT`.

        Raises:
            DatabaseMisuse: The caller's transaction has begun.
        """
        size = file.seek(0, os.SEEK_END)
        transact = self.database.transact_ahead
        upload_id = transact(lambda session: _begin(session, name[:NAME_LENGTH], size))
        file.seek(0)
        for number, data in enumerate(iter(lambda: file.read(PIECE), b"")):
            row = {"upload_id": upload_id, "number": number, "data": data}
            transact(partial(_add, row=row))
        return upload_id

    def open(self, upload_id: int) -> IO[bytes]:
        """Open an upload; the caller closes it.

        Raises:
            UploadGone: There is no upload with this id.
        """
        if self.database.session.get(Upload, upload_id) is None:
            raise UploadGone(f"upload {upload_id} is gone: send the file again")
        # Not a context manager here, since the caller reads it.
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  above
        for data in self._pieces(upload_id):
            file.write(data)
        file.seek(0)
        return file

    def _pieces(self, upload_id: int) -> Iterator[bytes]:
        query = select(UploadPiece.data).where(UploadPiece.upload_id == upload_id)
        number = 0
        # One at a time: the drivers would load all of them into memory.
        while data := self.database.session.scalar(query.where(UploadPiece.number == number)):
            yield data
            number += 1

    @transactional
    def release(self, upload_id: int) -> None:
        """Mark an upload as used, so that it can be deleted soon."""
        query = update(Upload).where(Upload.id == upload_id).values(used_at=utc_now())
        self.database.session.execute(query)

    def clean(self) -> int:
        """Delete uploads that are no longer needed; returns their number."""
        now = utc_now()
        over = or_(Upload.used_at < now - KEPT_AFTER_USE, Upload.created_at < now - KEPT)
        # One at a time, because the pieces are large and transactions should be short.
        return delete_in_batches(self.database, Upload.id, over, batch=1)
