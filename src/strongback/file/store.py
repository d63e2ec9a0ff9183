"""The interface of a store: where the contents of files are."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

PUBLIC, PRIVATE, UPLOAD = "public", "private", "upload"
"""Where keys begin: what anybody may read, what only some may, and uploads sent to the store
itself that are not completed. A CDN is given the first alone."""
Headers = dict[str, str]
"""Headers that a store sends with an object, where it is asked without the application."""


class FileStore(Protocol):
    """Keeps objects by key. Whole objects only: nobody ever reads a part of a write.

    Every method raises `StoreError` where the store fails or does not answer in time.
    """

    can_presign: bool
    """Whether clients may be sent to the store itself."""
    folder: Path | None
    """Folder of the objects, by key, if that is on this machine."""

    def write(self, key: str, source: Path, headers: Headers) -> None:
        """Write an object from a file."""
        ...

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Read a part of an object in pieces, the first of which is read at once.

        Raises:
            ObjectMissing: There is no such object, or it is shorter.
        """
        ...

    def size(self, key: str) -> int | None:
        """Size of an object; None if there is none."""
        ...

    def delete(self, keys: Collection[str]) -> None:
        """Delete objects; those that do not exist are ignored."""
        ...

    def sweep(self, before: datetime) -> int:
        """Remove uploads and halves of writes that are older; returns their number."""
        ...

    def presign(self, method: str, key: str, seconds: int) -> str:
        """Address at which a client may `GET` or `PUT` one object for some time."""
        ...

    def check(self) -> str:
        """Check that the store answers and lets us in; returns a sentence."""
        ...

    def close(self) -> None:
        """Stop what runs in the background."""
        ...


def object_key(*, is_public: bool, file_id: str, variant: str) -> str:
    """Key of a file or of a variant of it."""
    return f"{PUBLIC if is_public else PRIVATE}/{file_id[:2]}/{file_id}/{variant}"


def upload_key(file_id: str) -> str:
    """Key of an upload that a client sends to the store itself."""
    return f"{UPLOAD}/{file_id}"
