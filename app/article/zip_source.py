"""Documents of a zip.

Nothing of a zip is ever written to a path that it names, and nothing is unpacked that was not
counted first: a few kilobytes may claim to be gigabytes.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from app.article.exceptions import ArchiveRefused
from app.article.naming import DRAFTS, POSTS, is_language, known_folder
from app.article.source import (
    Document,
    Encoding,
    Refusal,
    is_markdown,
    printable,
    refuse_name,
    require_size,
    why_skipped,
)

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
_UNICODE_PATH = 0x7075
_BROKEN = (BadZipFile, NotImplementedError, ValueError, EOFError, OSError, struct.error, zlib.error)
"""What the standard library raises, by what is broken."""


def documents_in_zip(file: IO[bytes], encoding: Encoding | None = None) -> list[Document]:
    """Every Markdown file of a zip, in the order of a folder's.

    Args:
        file: Stays open while the documents are read.
        encoding: Encoding of file names and texts that are not in UTF-8.

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
    named = [(entry, _name_of(entry, encoding).removeprefix("./")) for entry in entries]
    named = [(entry, name) for entry, name in named if not _is_metadata(name)]
    wrapping = _wrapping_folder([name for _, name in named])
    documents = [
        _document(archive, entry, name, wrapping, encoding)
        for entry, name in named
        if is_markdown(PurePosixPath(name)) and not entry.is_dir()
    ]
    if all(document.skipped for document in documents):
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


def _refused(message: str, field: str = "form.file") -> ArchiveRefused:
    return ArchiveRefused(errors=[{"field": field, "message": message, "type": "archive"}])


def _is_metadata(name: str) -> bool:
    """Whether it is what macOS adds beside each file: it is called like it, and is no text."""
    path = PurePosixPath(name)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith("._")


def _wrapping_folder(names: list[str]) -> str:
    """The one folder that holds everything else, unless its name says something of what is in it.

    Archives of a repository have one, such as `blog-main`, and so has a folder that was compressed
    as such.
    """
    visible = [name for name in names if not name.startswith(".")]
    tops = {name.partition("/")[0] for name in visible}
    (top,) = tops if len(tops) == 1 else ("",)
    is_telling = (
        known_folder(top) in {POSTS, DRAFTS} or is_language(top) or why_skipped(PurePosixPath(top))
    )
    return top if all("/" in name for name in visible) and not is_telling else ""


def _document(
    archive: ZipFile, entry: ZipInfo, name: str, wrapping: str, encoding: Encoding | None
) -> Document:
    path = PurePosixPath(name.removeprefix(f"{wrapping}/") if wrapping else name)
    read = partial(_read, archive, entry, name)
    return Document(printable(name), path, read, encoding, why_skipped(path))


# Names


def _name_of(entry: ZipInfo, encoding: Encoding | None) -> str:
    """The name of an entry; one with a lone surrogate in it is in no known encoding.

    Raises:
        ArchiveRefused: It is not in the encoding that the caller has named.
    """
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    # Without the flag the standard library takes the bytes for code page 437, which has them all.
    raw = entry.orig_filename.encode("cp437").partition(b"\0")[0]
    if name := _unicode_path(entry.extra, raw):
        return name
    try:
        return raw.decode()  # some programs write UTF-8 and do not say so
    except UnicodeDecodeError:
        if encoding is None:
            return raw.decode("cp437" if _is_cp437(raw) else "utf-8", "surrogateescape")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        message = "Not every name in the archive is in this encoding."
        raise _refused(message, "form.encoding") from None


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The name in the extra field that Info-ZIP adds (APPNOTE, 4.6.9), if it is of this name."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        data = extra[at + 4 : at + 4 + size]
        if kind == _UNICODE_PATH and data[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return data[5:].decode(errors="surrogateescape")
        at += 4 + size
    return None


def _is_cp437(raw: bytes) -> bool:
    """Whether a name is in the code page that a zip's names are in by the book (APPNOTE, D.1).

    Any bytes are. But programs in China and Japan write what their system does, which then gives
    signs in the place of letters, or letters that in pairs are nothing but CJK.
    """
    if any(
        not character.isascii() and not character.isalpha() for character in raw.decode("cp437")
    ):
        return False
    stem = raw.rpartition(b"/")[2].rpartition(b".")[0]
    return not any(_is_mostly_cjk(stem, encoding) for encoding in ("gbk", "shift_jis"))


def _is_mostly_cjk(stem: bytes, encoding: str) -> bool:
    try:
        text = stem.decode(encoding)
    except UnicodeDecodeError:
        return False
    wide = sum("\u3040" <= character < "\uff00" for character in text)
    letters = sum(character.isascii() and character.isalpha() for character in text)
    return 2 * wide > letters


# Contents


def _read(archive: ZipFile, entry: ZipInfo, name: str) -> bytes:
    if any("\ud800" <= character <= "\udfff" for character in name):
        refuse_name()  # what else seems wrong with it may be half a letter
    for refusal in _refusals(entry, name):
        raise refusal
    require_size(entry.file_size)
    try:
        with archive.open(entry) as file:
            # With a number, which bounds what is unpacked; `read()` unpacks all, then looks.
            return file.read(entry.file_size + 1)
    except _BROKEN:
        raise Refusal("damaged: the archive does not hold it as it says: send it again") from None


def _refusals(entry: ZipInfo, name: str) -> Iterator[Refusal]:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        yield Refusal("bad path: it leads out of the archive, or has a backslash")
    if stat.S_ISLNK(entry.external_attr >> 16):
        yield Refusal("a link: only files are taken")
    if entry.flag_bits & _ENCRYPTED:
        yield Refusal("encrypted: send it without a password")
    if entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        # The others unpack without a limit, whatever was asked for.
        yield Refusal("bad compression: only deflate is known")
