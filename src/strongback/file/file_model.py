"""Tables of files, and of what the files of an account take."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from strongback.database import Base, Identified, utc_now
from strongback.file.kind import NAME_LENGTH, ORIGINAL
from strongback.file.store import object_key

ID_LENGTH = 32
SHOWN_LENGTH = 120
TYPE_LENGTH = 100
STATE_LENGTH = 16


class FileState(StrEnum):
    """State of a file."""

    AWAITED = "awaited"
    """Its owner sends the content to the store itself; nobody sees it."""
    WRITING = "writing"
    """Its content is inspected or written; nobody sees it."""
    STORED = "stored"
    """Complete."""


class StoredFile(Identified, Base):
    """A file.

    The row is there before the content, so that what a crash leaves is found by it.
    """

    __tablename__ = "sb_file"
    __table_args__ = (
        Index("ix_sb_file_owner_state_id", "owner", "state", "id"),
        Index("ix_sb_file_state_changed_at", "state", "changed_at"),
    )

    public_id: Mapped[str] = mapped_column(String(ID_LENGTH), unique=True)
    """128 random bits: the id in addresses."""
    owner: Mapped[int] = mapped_column(BigInteger)
    """Account whose file it is."""
    kind: Mapped[str] = mapped_column(String(NAME_LENGTH))
    name: Mapped[str] = mapped_column(String(SHOWN_LENGTH))
    """Name for people, given by the sender; nothing is looked up by it."""
    content_type: Mapped[str] = mapped_column(String(TYPE_LENGTH))
    """Type by the content."""
    sizes: Mapped[dict[str, int]] = mapped_column(JSON)
    """Bytes by variant, `original` among them."""
    charged: Mapped[int] = mapped_column(BigInteger)
    """Bytes that it takes of the owner's quota."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    is_public: Mapped[bool]
    state: Mapped[FileState] = mapped_column(String(STATE_LENGTH))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)
    """Time of the last change of state."""

    @property
    def size(self) -> int:
        """Bytes of the file itself."""
        return self.sizes.get(ORIGINAL, 0)

    def key(self, variant: str) -> str:
        """Key of a variant in the store."""
        return object_key(is_public=self.is_public, file_id=self.public_id, variant=variant)

    @property
    def keys(self) -> list[str]:
        """Keys of the file and its variants in the store."""
        return [self.key(variant) for variant in self.sizes]


class FileUsage(Base):
    """What the files of an account take."""

    __tablename__ = "sb_file_usage"

    owner: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    bytes: Mapped[int] = mapped_column(BigInteger)
