"""Stores on obstore: a folder of this machine, or a bucket of an S3-compatible service.

obstore's threads do not survive a fork: a child whose parent has used a store would wait for ever.
So a store is opened at its first use, and a child of a process that has used one is refused.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from strongback.circuit_breaker import CircuitBreaker
from strongback.config import Settings
from strongback.file.exceptions import StoreError
from strongback.file.store import UPLOAD, FileStore, Headers

ResultT = TypeVar("ResultT")
Backend = LocalStore | S3Store

PIECE = 1 << 20
"""Bytes per read, and per part of a write to a folder: a slow client holds no connection to the
store, and this much memory."""
PART = 5 << 20
"""Bytes per part of a large write to a bucket: S3 takes no smaller ones."""
WRITES = 4
"""Writes at once, each of which holds two parts in memory."""
ATTEMPTS = 20
"""Writes to a folder: another thread may just remove the folder above, which was empty."""
UNUSABLE = "The store of the files is not usable"
PROBE = "probe"
"""Key of no object, which is asked for to see that the store answers."""

_used_in: int | None = None
"""Process whose threads obstore has started."""


class ObjectMissing(StoreError):
    """The store has no such object."""


class ObstoreStore(FileStore):
    """What both stores have in common. Safe to share between threads."""

    can_presign = False
    folder: Path | None = None

    def __init__(self, patience: float, part: int) -> None:
        self._part = part
        self._patience = patience
        self._lock = threading.Lock()
        self._backend: Backend | None = None
        self._writes = threading.BoundedSemaphore(WRITES)

    def _open(self) -> Backend:
        raise NotImplementedError

    @property
    def backend(self) -> Backend:
        """The store, opened in this process; `StoreError` if a parent of it has used one."""
        global _used_in  # noqa: PLW0603  obstore's threads are the process's
        with self._lock:
            if _used_in not in (None, os.getpid()):
                raise StoreError(
                    f"process {os.getpid()} was forked from {_used_in}, which has used a store of"
                    " files: that hangs. Use it after the fork only"
                )
            _used_in = os.getpid()
            if self._backend is None:
                self._backend = self._open()
            return self._backend

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Backend]:
        try:
            yield self.backend
        except (NotFoundError, FileNotFoundError) as error:
            raise ObjectMissing(str(error)) from error
        except (BaseError, OSError) as error:
            raise StoreError(_first_line(error)) from error

    def write(self, key: str, source: Path, headers: Headers) -> None:
        """Write an object from a file."""
        if not self._writes.acquire(timeout=self._patience):
            raise StoreError(f"{WRITES} other writes have not ended within {self._patience:g} s")
        try:
            self._put(key, source, headers)
        except ObjectMissing as error:  # of a write, what is missing is the store itself
            raise StoreError(str(error)) from error
        finally:
            self._writes.release()

    def _put(self, key: str, source: Path, headers: Headers) -> None:
        with self._asking() as backend:
            obstore.put(
                backend,
                key,
                source,
                attributes=None if self.folder else headers,
                chunk_size=self._part,
                max_concurrency=1,
            )

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Read a part of an object in pieces, the first of which is read at once."""
        pieces = self._pieces(key, start, end)
        return chain((next(pieces, b""),), pieces)

    def _pieces(self, key: str, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            with self._asking() as backend:
                data = obstore.get_range(backend, key, start=start, end=min(start + PIECE, end))
            if not data:
                raise ObjectMissing(f"{key} ends at {start}, before {end}")
            start += len(data)
            yield bytes(data)

    def size(self, key: str) -> int | None:
        """Size of an object; None if there is none."""
        with contextlib.suppress(ObjectMissing), self._asking() as backend:
            return obstore.head(backend, key)["size"]
        return None

    def delete(self, keys: Collection[str]) -> None:
        """Delete objects; those that do not exist are ignored."""
        for key in keys:
            with contextlib.suppress(ObjectMissing), self._asking() as backend:
                obstore.delete(backend, key)

    def sweep(self, before: datetime) -> int:
        """Remove uploads that are older; returns their number."""
        with self._asking() as backend:
            found = [each for batch in obstore.list(backend, UPLOAD) for each in batch]
        keys = [each["path"] for each in found if each["last_modified"] < before]
        self.delete(keys)
        return len(keys)

    def presign(self, method: str, key: str, seconds: int) -> str:
        """Address at which a client may `GET` or `PUT` one object for some time."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop what runs in the background: nothing."""


class FolderStore(ObstoreStore):
    """Objects in a folder of this machine, or of a disk that all machines share."""

    def __init__(self, folder: Path, patience: float) -> None:
        super().__init__(patience, PIECE)
        self.folder = self._folder = folder

    def _open(self) -> Backend:
        return LocalStore(self._folder, automatic_cleanup=True, mkdir=True)

    def _put(self, key: str, source: Path, headers: Headers) -> None:
        folder = (self._folder / key).parent
        for attempt in range(1, ATTEMPTS + 1):
            try:
                super()._put(key, source, headers)
            except StoreError:
                if attempt == ATTEMPTS or folder.is_dir():  # a full disk stays full
                    raise
            else:
                return

    def check(self) -> str:
        """Check that the folder can be written; without obstore, so that a parent may ask too."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{UNUSABLE}: {_first_line(error)}") from error
        if not os.access(self._folder, os.W_OK):
            raise StoreError(f"{UNUSABLE}: {self._folder} cannot be written")
        return "Files can be written"

    def sweep(self, before: datetime) -> int:
        """Remove the halves `name#1` of writes that were killed, which obstore does not list."""
        count = 0
        for folder, _, names in os.walk(self._folder):  # unlike rglob, it lets folders go away
            for path in (Path(folder, name) for name in names if "#" in name):
                with contextlib.suppress(FileNotFoundError):  # it was whole, or is gone
                    if path.stat().st_mtime < before.timestamp():
                        path.unlink()
                        count += 1
        return count


class BucketStore(ObstoreStore):
    """Objects in a bucket of an S3-compatible service."""

    can_presign = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.file_store_timeout, PART)
        self._settings = settings
        self._breaker = CircuitBreaker("files", self._answers)

    def _open(self) -> Backend:
        settings = self._settings
        endpoint, bucket, is_virtual = split_address(settings.file_store_url or "")
        seconds = timedelta(seconds=settings.file_store_timeout)
        return S3Store(
            bucket,
            endpoint=endpoint,
            region=settings.file_store_region,
            access_key_id=settings.file_store_key_id or "",
            secret_access_key=settings.file_store_secret_key.get_secret_value(),
            virtual_hosted_style_request=is_virtual,
            client_options={
                "allow_http": endpoint.startswith("http:"),
                "connect_timeout": min(seconds, timedelta(seconds=2)),
                "timeout": seconds,
            },
            retry_config={"max_retries": 1, "retry_timeout": seconds},
        )

    @contextlib.contextmanager
    def _asking(self) -> Iterator[Backend]:
        if self._breaker.is_open:
            raise StoreError("the store is known not to answer")
        try:
            with super()._asking() as backend:
                yield backend
        except ObjectMissing:
            self._breaker.note_success()
            raise
        except StoreError as error:
            if not isinstance(error.__cause__, PermissionDeniedError | UnauthenticatedError):
                self._breaker.note_failure(str(error))
            raise
        self._breaker.note_success()

    def _answers(self) -> bool:
        try:
            obstore.head(self.backend, PROBE)
        except (NotFoundError, FileNotFoundError, PermissionDeniedError, UnauthenticatedError):
            return True
        except (BaseError, OSError, StoreError):
            return False
        return True

    def check(self) -> str:
        """Check that the store answers, has the bucket and lets us in."""
        # A HEAD of a bucket that is not there looks like one of an object that is not there.
        try:
            with self._asking() as backend:
                next(iter(obstore.list(backend, PROBE, chunk_size=1)), None)
        except StoreError as error:
            raise StoreError(f"{UNUSABLE}: {error}") from error
        return "The store of the files answers"

    def presign(self, method: str, key: str, seconds: int) -> str:
        """Address at which a client may `GET` or `PUT` one object for some time."""
        with self._asking() as backend:
            sign: Callable[..., str] = obstore.sign
            return sign(backend, method, key, timedelta(seconds=seconds))

    def close(self) -> None:
        """Stop the pings of a store that does not answer."""
        self._breaker.close()


def split_address(url: str) -> tuple[str, str, bool]:
    """Endpoint, name of the bucket, and whether the bucket is in the host.

    >>> split_address("https://files-125.cos.ap-guangzhou.myqcloud.com")
    ('https://files-125.cos.ap-guangzhou.myqcloud.com', 'files-125', True)
    >>> split_address("http://minio:9000/files")
    ('http://minio:9000', 'files', False)
    """
    parts = urlsplit(url)
    endpoint, path = f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")
    return (endpoint, path, False) if path else (endpoint, parts.netloc.partition(".")[0], True)


def open_store(settings: Settings) -> ObstoreStore:
    """The store of the settings; it is opened at its first use."""
    if settings.file_store_url:
        return BucketStore(settings)
    return FolderStore(settings.app_var_dir / "files", settings.file_store_timeout)


def _first_line(error: BaseException) -> str:
    # obstore's messages show the whole request on further lines.
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
