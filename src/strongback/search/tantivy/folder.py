"""The folder of an index, shared by the threads and processes of one machine.

live        a link to the folder beside it that is searched, whose name begins with its structure
write.lock  is held by whoever changes the index, and build.lock by whoever builds it anew
damaged     is there once a process could not read the index, for the process that maintains it
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path

import tantivy

from strongback.log.setup import get_logger
from strongback.private import make_private_folder
from strongback.search.exceptions import SearchUnavailable
from strongback.search.index import Document, Index, Key
from strongback.search.tantivy.schema import KEY, build_schema, encode, encode_key, structure_of

log = get_logger(__name__)

PATIENCE = 5.0
"""Seconds to wait for another thread or process that writes."""
PAUSE = 0.005
"""Seconds between two looks at a lock."""
HEAP, BUILD_HEAP = 15_000_000, 100_000_000
"""Bytes of words that a write, and a build, keep in memory before they go to the disk."""
_LIVE, _DAMAGED, _WRITE_LOCK, _BUILD_LOCK = "live", "damaged", "write.lock", "build.lock"
_OF_SYSTEM = re.compile(r"os error \d|Os \{")


@contextmanager
def explained(folder: Path, *, is_writing: bool = False) -> Iterator[None]:
    """Turn errors of files and of tantivy into SearchUnavailable.

    tantivy tells of everything by ValueError; and of what it takes for impossible by a panic, which
    is no Exception and has no type that could be imported. While writing, nothing is read, so that
    no error means damage.
    """
    try:
        yield
    except BaseException as error:
        is_panic = type(error).__name__ == "PanicException"
        if not (is_panic or isinstance(error, OSError | ValueError)):
            raise
        text = str(error)
        is_lost = isinstance(error, FileNotFoundError)
        is_of_system = isinstance(error, OSError) or _OF_SYSTEM.search(text) is not None
        # Who is told of the cause below says more of it.
        log.error("search_index_failed", path=str(folder), reason=text)  # noqa: TRY400  as above
        if is_writing or (is_of_system and not is_lost):
            reason = (
                f"The search index in {folder} cannot be used: {text}. See that the disk has room"
                " and that the process may write there."
            )
            raise SearchUnavailable(reason=reason) from error
        with suppress(OSError):  # whoever maintains the index may be another process
            (folder / _DAMAGED).touch()
        raise SearchUnavailable(is_damage=True) from error


class Generation:
    """One built state of an index. Safe to share between threads."""

    def __init__(self, path: Path, index: Index, *, is_new: bool = False) -> None:
        self.path = path
        self.schema = build_schema(index)
        self._folder = path.parent
        self._declaration = index
        if is_new:
            path.mkdir()
            self._index = tantivy.Index(self.schema, path=str(path))
        else:
            self._index = tantivy.Index.open(str(path))
        self._index.config_reader("manual")  # otherwise a thread would look for changes
        self._lock = threading.Lock()
        self._state = self._read_state()

    def searcher(self) -> tantivy.Searcher:
        """The state that was written last, by whichever process."""
        with self._lock:
            state = self._read_state()
            if state != self._state:
                self._index.reload()
                self._state = state
            return self._index.searcher()

    def write(self, documents: Iterable[tantivy.Document], keys: Iterable[Key]) -> None:
        """Delete what has these keys, then add documents; all of it or nothing."""
        with self._writer(HEAP) as writer, explained(self._folder, is_writing=True):
            for key in keys:
                writer.delete_documents_by_term(KEY, encode_key(key))
            for document in documents:
                writer.add_document(document)
            writer.commit()

    def fill(self, batches: Iterable[Sequence[Document]]) -> int:
        """Add many documents, no two with one key; returns how many."""
        count = 0
        with self._writer(BUILD_HEAP) as writer:
            for document in chain.from_iterable(batches):
                encoded = encode(self._declaration, self.schema, document)
                with explained(self._folder, is_writing=True):
                    writer.add_document(encoded)
                count += 1
            with explained(self._folder, is_writing=True):
                writer.commit()
        return count

    @contextmanager
    def _writer(self, heap: int) -> Iterator[tantivy.IndexWriter]:
        with explained(self._folder, is_writing=True):
            writer = self._index.writer(heap, 1)
        try:
            yield writer
        finally:
            with explained(self._folder, is_writing=True):
                writer.wait_merging_threads()

    def _read_state(self) -> tuple[int, int]:
        found = (self.path / "meta.json").stat()
        return found.st_ino, found.st_mtime_ns


class IndexFolder:
    """The folder of one index, made when it is missing.

    Readers never wait; writers wait for one another.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._opened: Generation | None = None
        self._process = os.getpid()

    # Reading

    def live(self) -> str | None:
        """The name of the folder that is searched; None where the index was never made."""
        link = self.path / _LIVE
        try:
            return link.readlink().name
        except FileNotFoundError:
            return None
        except OSError:
            if not link.is_file():
                raise
            return None  # a file of another format

    def is_current(self, index: Index) -> bool:
        """Whether the index was built for this declaration, by this release."""
        return (self.live() or "").startswith(structure_of(index))

    def read(self, index: Index) -> tuple[Generation, tantivy.Searcher]:
        """Open what is searched; SearchUnavailable if never made, or for another structure."""
        while True:
            live = self.live()
            if live is None or not live.startswith(structure_of(index)):
                log.error("search_index_outdated", index=index.name, remedy="flask search reindex")
                raise SearchUnavailable
            try:
                generation = self._open(live, index)
                return generation, generation.searcher()
            except (OSError, ValueError):
                if self.live() == live:  # or else it was replaced and deleted at this moment
                    raise

    @property
    def is_building(self) -> bool:
        """Whether somebody builds the index anew."""
        try:
            with (self.path / _BUILD_LOCK).open() as file:
                return not _try_lock(file.fileno())
        except FileNotFoundError:
            return False

    @property
    def is_suspect(self) -> bool:
        """Whether a process has met damage since the index was built."""
        return (self.path / _DAMAGED).exists()

    def close(self) -> None:
        """Close open files."""
        with self._lock:
            self._opened = None

    def _open(self, live: str, index: Index) -> Generation:
        path = self.path / live
        with self._lock:
            if self._opened is None or self._opened.path != path or self._process != os.getpid():
                self._opened, self._process = Generation(path, index), os.getpid()
            return self._opened

    # Writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only one who changes the index, or raise SearchUnavailable."""
        with self._locked(_WRITE_LOCK, PATIENCE) as is_mine:
            if not is_mine:
                raise SearchUnavailable(reason=f"Another process writes to {self.path} for long.")
            yield

    @contextmanager
    def building(self, index: Index) -> Iterator[Generation]:
        """Make a generation beside the present one; it is deleted unless `replace` is called."""
        with self._locked(_BUILD_LOCK, 0) as is_mine:
            if not is_mine:
                raise SearchUnavailable("Another process is building this index.")
            try:
                yield self.make(index)
            finally:
                self._clear_away()

    def make(self, index: Index) -> Generation:
        """Make an empty generation, which nobody searches yet."""
        with explained(self.path, is_writing=True):
            name = f"{structure_of(index)}-{secrets.token_hex(4)}"
            return Generation(self.path / name, index, is_new=True)

    def replace(self, generation: Generation) -> None:
        """Let a generation be searched from now on."""
        with explained(self.path, is_writing=True):
            link = self.path / f"{_LIVE}.new"
            link.unlink(missing_ok=True)
            link.symlink_to(generation.path.name)
            link.replace(self.path / _LIVE)
            (self.path / _DAMAGED).unlink(missing_ok=True)

    def _clear_away(self) -> None:
        """Delete what is searched no more, and what builds that have died have left."""
        with self._locked(_WRITE_LOCK, PATIENCE) as is_mine:
            live = self.live()
            for path in self.path.iterdir() if is_mine else ():
                if path.is_dir() and path.name not in {live, _LIVE}:
                    shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _locked(self, name: str, patience: float) -> Iterator[bool]:
        """Hold a lock, and tell whether it was free in time."""
        with explained(self.path, is_writing=True):
            make_private_folder(self.path)
            file = (self.path / name).open("a")
        with file:  # which the system unlocks as soon as it is closed, or the process has died
            deadline = time.monotonic() + patience
            while not (is_mine := _try_lock(file.fileno())) and time.monotonic() < deadline:
                time.sleep(PAUSE)
            yield is_mine


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
