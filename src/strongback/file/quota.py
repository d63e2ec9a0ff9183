"""The quota of each account, counted in the transaction of each file."""

from __future__ import annotations

from sqlalchemy import case, select, update

from strongback.database import Database, changed_rows, lock_row, transactional
from strongback.file.exceptions import QuotaExceeded
from strongback.file.file_model import FileUsage


class FileQuota:
    """Grants each account room for files, in bytes."""

    def __init__(self, database: Database, limit: int) -> None:
        self.database = database
        self.limit = limit

    def used(self, owner: int) -> int:
        """Bytes that the files of an account take."""
        query = select(FileUsage.bytes).where(FileUsage.owner == owner)
        return self.database.session.scalar(query) or 0

    @transactional
    def take(self, owner: int, size: int) -> None:
        """Take room, which two at once cannot both; `QuotaExceeded` if there is less."""
        mine = (FileUsage.owner == owner) & (FileUsage.bytes + size <= self.limit)
        take = update(FileUsage).where(mine).values(bytes=FileUsage.bytes + size)
        session = self.database.session
        if not changed_rows(session, take):
            lock_row(session, FileUsage.bytes, {FileUsage.owner: owner})
            if not changed_rows(session, take):
                raise QuotaExceeded(params={"limit": f"{self.limit:,}"})

    @transactional
    def give_back(self, owner: int, size: int) -> None:
        """Give room back."""
        left = FileUsage.bytes - size
        less = update(FileUsage).where(FileUsage.owner == owner)
        statement = less.values(bytes=case((left > 0, left), else_=0))
        changed_rows(self.database.session, statement)
