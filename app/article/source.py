"""Where imported Markdown comes from: a folder or a zip, both as documents for one importer.

Nothing of a zip is ever written to a path that it names, and nothing is unpacked that was not
counted first: a few kilobytes may claim to be gigabytes.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath, PurePosixPath
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from app.article.exceptions import ArchiveRefused
from app.core.exceptions import GroundworkError

SUFFIXES = frozenset({".md", ".markdown"})
MAX_BYTES = 1024 * 1024
"""Bytes of a document."""
MAX_ENTRIES = 10_000
"""Entries of a zip, folders and other files included."""
MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes of everything in a zip."""
MAX_RATIO = 100
"""By how much a zip may be smaller than what is in it; texts are to about a tenth."""
HARMLESS = 16 * 1024 * 1024
"""Bytes up to which any ratio will do."""
_ENTRY = b"PK\x01\x02"
"""What every entry of a zip's directory begins with."""
_PIECE = 1024 * 1024
_ENCRYPTED = 0x1
_UTF8_NAME = 0x800
_BROKEN = (BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error, zlib.error)
"""What the standard library raises, by what is broken."""


class Refusal(GroundworkError):
    """A file cannot be imported; the message says why."""


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file."""

    name: str
    """What reports call it."""
    path: PurePath
    """Where it is below the folder: gives it its slug and its language."""
    read: Callable[[], bytes]
    """Reads it; raises Refusal or OSError."""

    def text(self) -> str:
        """Read it as UTF-8.

        Raises:
            Refusal: It is too large, not UTF-8, or cannot be read.
        """
        try:
            return self.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            msg = f"bad UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}"
            raise Refusal(msg) from None
        except OSError as error:
            msg = f"cannot be read: {error.strerror}"
            raise Refusal(msg) from None


def _require_size(size: int) -> None:
    if size > MAX_BYTES:
        msg = f"too large: {size:,} bytes, at most {MAX_BYTES:,} are taken"
        raise Refusal(msg)


# Folders


def documents_in_folder(folder: Path) -> list[Document]:
    """Every Markdown file below the folder, or the file itself, in a fixed order."""
    if folder.is_file():
        return [Document(str(folder), PurePath(folder.name), partial(_read_file, folder))]
    found = sorted(path for path in folder.rglob("*") if _is_markdown(path) and path.is_file())
    return [Document(str(it), it.relative_to(folder), partial(_read_file, it)) for it in found]


def _is_markdown(path: PurePath) -> bool:
    return path.suffix.lower() in SUFFIXES


def _read_file(path: Path) -> bytes:
    _require_size(path.stat().st_size)
    return path.read_bytes()


# Zips


def documents_in_zip(file: IO[bytes]) -> list[Document]:
    """Every Markdown file of a zip, in the order of a folder's.

    Args:
        file: Stays open while the documents are read.

    Raises:
        ArchiveRefused: It is not a zip, or one that is not to be unpacked.
    """
    _require_few_entries(file)
    try:
        archive = ZipFile(file)
    except _BROKEN:
        raise _refused("This is not a zip file, or a damaged one.") from None
    entries = archive.infolist()
    _require_room(entries, file.seek(0, 2))
    documents = [
        Document(name, path, partial(_read_entry, archive, entry))
        for entry in entries
        for name, path in _markdown_names(entry)
    ]
    if not documents:
        raise _refused("The archive holds no .md or .markdown files.")
    return sorted(documents, key=lambda document: document.path)


def _require_few_entries(file: IO[bytes]) -> None:
    """Count what may be entries before they become objects; the count that a zip gives may lie."""
    file.seek(0)
    count, end = 0, b""
    while data := file.read(_PIECE):
        count += (end + data).count(_ENTRY)
        end = data[1 - len(_ENTRY) :]
    if count > MAX_ENTRIES:
        raise _refused("The archive has more than 10,000 entries.")


def _require_room(entries: list[ZipInfo], size: int) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MAX_UNPACKED:
        raise _refused("Unpacked, the archive is larger than 256 MiB.")
    is_overlapping = sum(entry.compress_size for entry in entries) > size
    if is_overlapping or unpacked > max(HARMLESS, size * MAX_RATIO):
        raise _refused("The archive is a zip bomb: it claims to hold far more than its size.")


def _refused(message: str) -> ArchiveRefused:
    return ArchiveRefused(errors=[{"field": "form.file", "message": message, "type": "archive"}])


def _markdown_names(entry: ZipInfo) -> Iterator[tuple[str, PurePosixPath]]:
    """The name and path of an entry, if it is one that somebody wrote as Markdown."""
    name = _decoded(entry)
    path = PurePosixPath(name)
    # What macOS adds beside each file is called like it, and is no text.
    is_metadata = path.parts[:1] == ("__MACOSX",) or path.name.startswith("._")
    if _is_markdown(path) and not entry.is_dir() and not is_metadata:
        yield name, path


def _decoded(entry: ZipInfo) -> str:
    """The name; some programs write UTF-8 and do not say so."""
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode()
    except UnicodeError:
        return entry.filename  # `_read_entry` says what is wrong with it


def _read_entry(archive: ZipFile, entry: ZipInfo) -> bytes:
    for problem in _problems(entry):
        raise Refusal(problem)
    _require_size(entry.file_size)
    try:
        with archive.open(entry) as file:
            # With a number, which bounds what is unpacked; `read()` unpacks all, then looks.
            return file.read(entry.file_size + 1)
    except _BROKEN:
        raise Refusal("damaged: the archive does not hold it as it says") from None


def _problems(entry: ZipInfo) -> Iterator[str]:
    path = PurePosixPath(entry.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
        yield "bad path: it leads out of the archive, or has a backslash"
    if not entry.flag_bits & _UTF8_NAME and not _is_utf8(entry.filename):
        yield "bad name: it is not UTF-8"
    if stat.S_ISLNK(entry.external_attr >> 16):
        yield "a link: only files are taken"
    if entry.flag_bits & _ENCRYPTED:
        yield "encrypted: send it without a password"
    if entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        # The others unpack without a limit, whatever was asked for.
        yield "bad compression: only deflate is known"


def _is_utf8(name: str) -> bool:
    try:
        name.encode("cp437").decode()
    except UnicodeError:
        return False
    return True
