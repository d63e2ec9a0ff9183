"""Files: adds them, finds them, hands out their content, and deletes them."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import delete, select, update

from strongback.config import Settings
from strongback.database import (
    Database,
    DatabaseMisuse,
    changed_rows,
    transactional,
    utc_now,
)
from strongback.exceptions import Conflict, NotFound
from strongback.file.exceptions import (
    NoDirectUpload,
    NotUploaded,
    StoreError,
    UnknownKind,
)
from strongback.file.file_model import ID_LENGTH, FileState, StoredFile
from strongback.file.inspection import Encode, Inspected, Scanner, check_size, inspect
from strongback.file.kind import ORIGINAL, FileKind, FileKinds
from strongback.file.naming import content_disposition, shown_name
from strongback.file.quota import FileQuota
from strongback.file.store import FileStore, Headers, upload_key
from strongback.file.type import UNKNOWN
from strongback.outbox import Outbox
from strongback.paging import Order, Window, read_page
from strongback.private import make_private_folder
from strongback.schema import PageQuery

REMOVED = "file:removed"
"""Topic: the keys of objects that nothing refers to any more."""
PUBLIC_CACHE = "public, max-age=86400, immutable"
PRIVATE_CACHE = "private, no-cache"
UPLOAD_SECONDS = 900
"""Time in which a client has to begin an upload that it sends to the store itself."""
DOWNLOAD_SECONDS = 300
"""Time for which the address of a private file at the store is valid."""
GIVEN_LENGTH = 1000
"""Characters of a given name that are looked at, the last ones."""
ABANDONED = timedelta(hours=1)
"""Age at which what is unfinished counts as abandoned: no request takes as long."""
BATCH = 500
PIECE = 1 << 18
"""Bytes that are copied at once."""
BY_AGE = Order(StoredFile.id, StoredFile.id)
_STORED = select(StoredFile).where(StoredFile.state == FileState.STORED)


class Files:
    """The files of all accounts.

        AVATAR = FileKind("avatar", types=IMAGES, max_bytes=5_000_000, is_public=True)
        files.declare(AVATAR)
        file = files.add(form.file.stream, form.file.filename, AVATAR, principal.user_id)
        files.url(file, "small")

    Args:
        database: Stores what is known of them.
        outbox: Has the contents of deleted ones removed.
        store: Keeps the contents.
        encode: Encodes images anew.
        settings: The quota of an account, and the addresses.
        content_path: Path of the content, with `{id}`.
    """

    def __init__(  # noqa: PLR0913, PLR0917  what it stands on
        self,
        database: Database,
        outbox: Outbox,
        store: FileStore,
        encode: Encode,
        settings: Settings,
        content_path: str,
    ) -> None:
        self.database = database
        self.store = store
        self.quota = FileQuota(database, settings.file_quota)
        self.kinds = FileKinds()
        self.scanners: list[Scanner] = []
        self.uploads = settings.app_var_dir / "upload"
        """Folder on a disk, where a file lies until it is in the store."""
        self.cdn_url = settings.file_cdn_url and settings.file_cdn_url.rstrip("/")
        """Address of the public files by their keys."""
        self.has_accel = settings.file_accel and store.folder is not None
        """Whether Nginx sends large files."""
        self._outbox = outbox
        self._encode = encode
        self._content_path = content_path

    def declare(self, *kinds: FileKind) -> None:
        """Declare kinds of files.

        Raises:
            ConfigurationError: One is wrong, or another of its name exists.
        """
        self.kinds.declare(*kinds)

    def scan(self, scanner: Scanner) -> None:
        """Have every file scanned before anybody can see it, as for viruses.

        Args:
            scanner: Raises `FileRefused` where a file may not be kept.
        """
        self.scanners.append(scanner)

    def kind(self, name: str) -> FileKind:
        """The kind of a name.

        Raises:
            UnknownKind: There is none.
        """
        if kind := self.kinds.get(name):
            return kind
        names = ", ".join(each.name for each in self.kinds)
        raise UnknownKind(params={"kind": name, "kinds": names})

    # Adding

    def add(self, stream: IO[bytes], filename: str, kind: FileKind, owner: int) -> StoredFile:
        """Inspect a file, and keep it. Slow: call it outside of transactions.

        Args:
            stream: The content, which is never in memory as a whole.
            filename: Name given by the sender.
            kind: Its kind.
            owner: Account whose file it is.

        Raises:
            APIException: It is refused, or the account has no room.
            StoreError: The store does not take it; nothing is left.
            DatabaseMisuse: A transaction is open, which would hold its locks for as long.
        """
        self._require_no_transaction()
        with self._folder() as folder:
            source = folder / ORIGINAL
            with source.open("wb") as target:
                copy_some(stream, target, kind.max_bytes + 1)  # one more tells that it is too much
            found = inspect(source, kind, self.scanners, self._encode)
            file = self._new(filename, kind, owner, FileState.WRITING, found.facts)
            try:
                self._write(file, found)
                return self._show(file.public_id)
            except BaseException:
                self._discard(file.public_id)
                raise

    @transactional
    def _new(
        self, filename: str, kind: FileKind, owner: int, state: FileState, facts: dict[str, Any]
    ) -> StoredFile:
        """Add a file to the database, with an id that nobody can guess, and take its room."""
        self.quota.take(owner, facts["charged"])
        file = StoredFile(
            public_id=secrets.token_hex(ID_LENGTH // 2),
            owner=owner,
            kind=kind.name,
            name=shown_name(filename[-GIVEN_LENGTH:], facts["content_type"]),
            is_public=kind.is_public,
            state=state,
            **facts,
        )
        self.database.session.add(file)
        self.database.session.flush()
        return file

    def _write(self, file: StoredFile, found: Inspected) -> None:
        headers = headers_of(file)
        for variant, path in found.files.items():
            self.store.write(file.key(variant), path, headers)

    @transactional
    def _show(self, public_id: str, *obsolete: str) -> StoredFile:
        """Make a file visible whose content is complete, and have obsolete objects removed."""
        if not self._move(public_id, FileState.WRITING, FileState.STORED):
            raise StoreError("the upload took so long that it was swept away; send it again")
        if obsolete:
            self._outbox.emit(REMOVED, {"keys": obsolete})
        return self._row(public_id)

    @transactional
    def _discard(self, public_id: str) -> bool:
        """Forget a file, and have what there is of its content removed."""
        session = self.database.session
        file = session.scalar(select(StoredFile).where(StoredFile.public_id == public_id))
        gone = delete(StoredFile).where(StoredFile.public_id == public_id)
        if file is None or not changed_rows(session, gone):
            return False
        session.expunge(file)
        self.quota.give_back(file.owner, file.charged)
        self._outbox.emit(REMOVED, {"keys": [*file.keys, upload_key(public_id)]})
        return True

    def _move(self, public_id: str, before: FileState, after: FileState) -> bool:
        there = (StoredFile.public_id == public_id) & (StoredFile.state == before)
        move = update(StoredFile).where(there).values(state=after, changed_at=utc_now())
        return bool(changed_rows(self.database.session, move))

    def _row(self, public_id: str) -> StoredFile:
        query = select(StoredFile).where(StoredFile.public_id == public_id)
        query = query.execution_options(populate_existing=True)
        return self.database.session.scalars(query).one()

    # Uploads that clients send to the store itself

    @transactional
    def presign(self, filename: str, kind: FileKind, owner: int, size: int) -> StoredFile:
        """Await a file that its owner sends to the store itself; see `upload_url`.

        Args:
            filename: Name given by the sender.
            kind: Its kind.
            owner: Account whose file it is.
            size: Bytes announced, which are taken from the quota.

        Raises:
            NoDirectUpload: This store takes none.
            APIException: The size is refused, or the account has no room.
        """
        if not self.store.can_presign:
            raise NoDirectUpload
        check_size(size, kind)
        facts = {"content_type": UNKNOWN, "sizes": {}, "charged": size}
        return self._new(filename, kind, owner, FileState.AWAITED, facts)

    def upload_url(self, file: StoredFile) -> str:
        """Address to which a client sends an awaited file by PUT."""
        return self.store.presign("PUT", upload_key(file.public_id), UPLOAD_SECONDS)

    def complete(self, public_id: str, owner: int) -> StoredFile:
        """Inspect an awaited file that has arrived at the store, and make it visible.

        The store has checked nothing: what is signed is an address. So the content is copied to
        where the client cannot change it, and passes the same inspection as any other. Slow: call
        it outside of transactions.

        Raises:
            NotFound: No such file is awaited of this account.
            NotUploaded: Its content has not arrived.
            APIException: It is refused, and deleted.
            DatabaseMisuse: A transaction is open, which would hold its locks for as long.
        """
        self._require_no_transaction()
        file = self._claim(public_id, owner)
        if file.state == FileState.STORED:
            return file
        try:
            with self._folder() as folder:
                found = self._fetch(file, folder / ORIGINAL)
                self._write(self._note(public_id, found), found)
                return self._show(public_id, upload_key(public_id))
        except (StoreError, NotUploaded):
            self._await_again(public_id)
            raise
        except BaseException:
            self._discard(public_id)
            raise

    @transactional
    def _claim(self, public_id: str, owner: int) -> StoredFile:
        """Take an awaited file for one request alone."""
        session = self.database.session
        found = session.scalar(select(StoredFile).where(StoredFile.public_id == public_id))
        if found is None or found.owner != owner:
            raise NotFound
        is_claimed = self._move(public_id, FileState.AWAITED, FileState.WRITING)
        file = self._row(public_id)
        if not is_claimed and file.state != FileState.STORED:
            raise Conflict("Another request is completing this file.")
        return file

    def _fetch(self, file: StoredFile, target: Path) -> Inspected:
        kind, key = self.kind(file.kind), upload_key(file.public_id)
        size = self.store.size(key)
        if size is None:
            raise NotUploaded
        check_size(size, kind)
        with target.open("wb") as output:
            for piece in self.store.read(key, 0, size):
                output.write(piece)
        return inspect(target, kind, self.scanners, self._encode)

    @transactional
    def _note(self, public_id: str, found: Inspected) -> StoredFile:
        """Note what was found, and take from the quota what it really takes."""
        file, facts = self._row(public_id), found.facts
        self.quota.give_back(file.owner, file.charged)
        self.quota.take(file.owner, facts["charged"])
        file.name = shown_name(file.name.removesuffix(".bin"), found.content_type)
        for column, value in facts.items():
            setattr(file, column, value)
        return file

    @transactional
    def _await_again(self, public_id: str) -> None:
        self._move(public_id, FileState.WRITING, FileState.AWAITED)

    # Reading

    def find(self, public_id: str) -> StoredFile | None:
        """A file that is complete; None if there is none of this id."""
        # It gives its connection back: the content is read for as long as the client likes.
        with self.database.latest() as session:
            return session.scalar(_STORED.where(StoredFile.public_id == public_id))

    def list(self, owner: int, wanted: PageQuery) -> Window[StoredFile]:
        """A part of the list of an account's files, latest first."""
        query = _STORED.where(StoredFile.owner == owner)
        return read_page(self.database.session, query, BY_AGE, wanted)

    def url(self, file: StoredFile, variant: str = ORIGINAL) -> str:
        """Address of a file or of a variant of it: at the CDN if it is public and there is one."""
        if file.is_public and self.cdn_url:
            return f"{self.cdn_url}/{file.key(variant)}"
        path = self._content_path.format(id=file.public_id)
        return path if variant == ORIGINAL else f"{path}?variant={variant}"

    def download_url(self, file: StoredFile) -> str | None:
        """Address at the store itself, valid for minutes; None where that is impossible."""
        if not self.store.can_presign:
            return None
        return self.store.presign("GET", file.key(ORIGINAL), DOWNLOAD_SECONDS)

    # Deleting

    @transactional
    def delete(self, public_id: str, owner: int | None) -> None:
        """Delete a file; its content is removed soon after the transaction.

        Args:
            public_id: Its id.
            owner: Account whose file it has to be; None for anybody's.

        Raises:
            NotFound: There is no such file.
        """
        file = self.database.session.scalar(_STORED.where(StoredFile.public_id == public_id))
        if file is None or owner not in (None, file.owner) or not self._discard(public_id):
            raise NotFound

    def sweep(self) -> int:
        """Remove what killed servers and absent clients have left; returns the number of files."""
        before = utc_now() - ABANDONED
        count = 0
        unfinished = (FileState.AWAITED, FileState.WRITING)
        query = select(StoredFile.public_id).where(
            StoredFile.state.in_(unfinished), StoredFile.changed_at < before
        )
        with self.database.latest() as session:
            abandoned = session.scalars(query.limit(BATCH)).all()
        for public_id in abandoned:
            count += self._discard(public_id)
        for folder in self.uploads.glob("*/"):
            with suppress(FileNotFoundError):  # an upload ends meanwhile
                if folder.stat().st_mtime < before.timestamp():
                    shutil.rmtree(folder, ignore_errors=True)
                    count += 1
        return count + self.store.sweep(before)

    def _require_no_transaction(self) -> None:
        if self.database.is_in_transaction:
            msg = "a transaction is open: add files before it, and note their ids in it"
            raise DatabaseMisuse(msg)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A folder for one upload, on a disk, removed after it."""
        make_private_folder(self.uploads)
        with tempfile.TemporaryDirectory(dir=self.uploads) as name:
            yield Path(name)


def headers_of(file: StoredFile) -> Headers:
    """Headers that go with the content, whoever sends it."""
    return {
        "Content-Type": file.content_type,
        "Content-Disposition": content_disposition(file.name, file.content_type),
        "Cache-Control": PUBLIC_CACHE if file.is_public else PRIVATE_CACHE,
    }


def copy_some(source: IO[bytes], target: IO[bytes], limit: int) -> None:
    """Copy a stream, at most so many bytes."""
    while limit > 0 and (data := source.read(min(PIECE, limit))):
        target.write(data)
        limit -= len(data)
