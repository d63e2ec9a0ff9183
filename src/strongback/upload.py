"""What a request leaves behind for a job: bytes in the database, in pieces, for a while.

A worker may run on another machine, with which it shares the database and no disk. What is meant
to stay does not belong here.
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
"""Bytes of a row: what MySQL takes in one packet is limited, to 16 MiB and often less."""
IN_MEMORY = 1024 * 1024
"""Bytes up to which an upload is read into memory; a larger one goes to a temporary file."""
KEPT = timedelta(days=1)
"""How long an upload waits for its job: a backlog is to be worked off by then."""
KEPT_AFTER_USE = timedelta(hours=1)
"""How long it is kept once it was used, should its job be run again after a crash."""
NAME_LENGTH = 200

# MySQL's BLOB ends at 64 KiB, its MEDIUMBLOB at 16 MiB.
Piece = LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql")


class UploadGone(StrongbackError):
    """An upload is not there any more: its job came more than a day after it."""


class Upload(Identified, Base):
    """A file that a job is to read."""

    __tablename__ = "sb_upload"

    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    """What its sender calls it; good for messages, and for nothing else."""
    size: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    used_at: Mapped[datetime | None] = mapped_column(index=True)
    """When its job was done with it."""


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
    """Keeps files for jobs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def keep(self, name: str, file: IO[bytes]) -> int:
        """Store a file from its start, a piece in each transaction; returns its number.

        All of them are committed ahead of the caller's: nobody is to wait while a large file is
        written. One that no job is started for is deleted in the end like all others.

        Args:
            name: What its sender calls it.
            file: Is read piece by piece, so that a large one needs little memory.

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

    def open(self, number: int) -> IO[bytes]:
        """Read an upload; the caller closes what this returns.

        Raises:
            UploadGone: There is none of this number.
        """
        if self.database.session.get(Upload, number) is None:
            raise UploadGone(f"upload {number} is gone: send the file again")
        # Not a context manager here, since the caller goes on reading it.
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  above
        for data in self._pieces(number):
            file.write(data)
        file.seek(0)
        return file

    def _pieces(self, upload_id: int) -> Iterator[bytes]:
        query = select(UploadPiece.data).where(UploadPiece.upload_id == upload_id)
        number = 0
        # One at a time: the drivers would read the whole answer into memory first.
        while data := self.database.session.scalar(query.where(UploadPiece.number == number)):
            yield data
            number += 1

    @transactional
    def release(self, number: int) -> None:
        """Say that the job is done with an upload, which may be cleaned away soon."""
        query = update(Upload).where(Upload.id == number).values(used_at=utc_now())
        self.database.session.execute(query)

    def clean(self) -> int:
        """Delete what is not needed any more, and return how many files that were."""
        now = utc_now()
        over = or_(Upload.used_at < now - KEPT_AFTER_USE, Upload.created_at < now - KEPT)
        # One at a time: its pieces are large, and a transaction is to be short.
        return delete_in_batches(self.database, Upload.id, over, batch=1)
