"""Documents to import, and those of a folder.

`zip_source` has those of a zip; both are the same for the importer.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from typing import Literal, NoReturn

from app.article.naming import DRAFTS, POSTS, known_folder
from strongback.exceptions import StrongbackError

SUFFIXES = frozenset({".md", ".markdown"})
MAX_BYTES = 1024 * 1024
"""Bytes of a document."""
Encoding = Literal["gbk", "gb18030", "big5", "shift_jis", "euc_kr", "cp437", "cp1251", "cp1252"]
"""Supported encodings of file names and texts that are not in UTF-8."""
HIDDEN = "in a hidden folder, or hidden itself"
INSTALLED = "in node_modules"


class Refusal(StrongbackError):
    """A file cannot be imported; the message has the reason and the remedy.

    Args:
        message: Explanation in English, also the key of its translations, so values go into
            `params`.
        params: Values for the `{placeholders}` of the message.
    """

    def __init__(self, message: str, **params: object) -> None:
        self.message = message
        self.params = params
        super().__init__(message.format(**params))


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file."""

    name: str
    """Name in reports."""
    path: PurePath
    """Path below the folder, which determines slug and language."""
    read: Callable[[], bytes]
    """Reads it; raises Refusal or OSError."""
    encoding: Encoding | None = None
    """Encoding of a text that is not in UTF-8, if given."""
    skipped: str = ""
    """Reason for which it is skipped, if it is."""

    def text(self) -> str:
        """Read it as UTF-8, or else in its encoding.

        Raises:
            Refusal: It is too large, in no known encoding, or cannot be read.
        """
        try:
            data = self.read()
        except OSError as error:
            raise Refusal("cannot be read: {problem}", problem=error.strerror) from None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            return self._decode(data, error.start)

    def _decode(self, data: bytes, bad: int) -> str:
        if self.encoding is None:
            raise Refusal(
                "bad UTF-8: byte 0x{byte:02x} at offset {offset}: save it as UTF-8, or name its"
                " encoding",
                byte=data[bad],
                offset=bad,
            )
        try:
            return data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise Refusal(
                "neither UTF-8 nor {encoding}: byte 0x{byte:02x} at offset {offset}: save it as"
                " UTF-8",
                encoding=self.encoding,
                byte=data[error.start],
                offset=error.start,
            ) from None


def is_markdown(path: PurePath) -> bool:
    """Whether the name is that of a Markdown file."""
    return path.suffix.lower() in SUFFIXES


def why_skipped(path: PurePath) -> str:
    """Reason for which a file is skipped by its path; empty if it is not."""
    if "node_modules" in path.parts:
        return INSTALLED
    return HIDDEN if any(part.startswith(".") and part != ".." for part in path.parts) else ""


def require_size(size: int) -> None:
    """Refuse a document that is too large to be read.

    Raises:
        Refusal: It is.
    """
    if size > MAX_BYTES:
        raise Refusal(
            "too large: {size:,} bytes, at most {most:,} are taken: divide it",
            size=size,
            most=MAX_BYTES,
        )


def refuse_name() -> NoReturn:
    """Refuse a document whose name is in no known encoding; reads it, as far as it can be read."""
    raise Refusal("bad name: it is not UTF-8: rename it, or name its encoding, such as gbk")


def printable(name: str) -> str:
    """A name on one line, without invisible characters."""
    return "".join("\ufffd" if _is_control(character) else character for character in name)


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


# Folders


def documents_in_folder(folder: Path, encoding: Encoding | None = None) -> list[Document]:
    """Every Markdown file below the folder, or the file itself, in a fixed order.

    Args:
        folder: The folder, or a file.
        encoding: Encoding of file names and texts that are not in UTF-8.
    """
    if folder.is_file():
        path = _kept_parts(folder.parent) / folder.name
        return [_document(folder, path, partial(_read_file, folder), encoding)]
    found = sorted(filter(_is_document, folder.rglob("*")))
    kept, base = _kept_parts(folder), folder.resolve()
    return [
        _document(file, kept / file.relative_to(folder), partial(_read_below, base, file), encoding)
        for file in found
    ]


def _is_document(path: Path) -> bool:
    return is_markdown(path) and path.is_file()


def _kept_parts(base: Path) -> PurePath:
    """The end of a folder's path that says something of what is in it: `_drafts` and below."""
    parts = [known_folder(part) for part in base.resolve().parts]
    starts = [parts.index(name) for name in (POSTS, DRAFTS) if name in parts]
    return PurePath(*parts[min(starts) :]) if starts else PurePath()


def _document(
    file: Path, path: PurePath, read: Callable[[], bytes], encoding: Encoding | None
) -> Document:
    name, where = str(file), str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        # The system's names are bytes; those that are not UTF-8 come as lone surrogates.
        known = encoding or "utf-8"
        name, where = (os.fsencode(each).decode(known, "replace") for each in (name, where))
        read = refuse_name if "\ufffd" in where else read
    below = PurePath(where)
    return Document(printable(name), below, read, encoding, why_skipped(below))


def _read_below(base: Path, path: Path) -> bytes:
    """Read a file; a folder of somebody else's may have links to what is not for readers."""
    if path.is_symlink() and not path.resolve().is_relative_to(base):
        raise Refusal("a link that leads out of the folder: put the file itself in its place")
    return _read_file(path)


def _read_file(path: Path) -> bytes:
    require_size(path.stat().st_size)
    return path.read_bytes()
