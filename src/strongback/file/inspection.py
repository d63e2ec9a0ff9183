"""What every file passes before anybody can see it, in this order.

1. size: that of its kind, before anything is read;
2. type: by the content, whatever the sender says;
3. scanners: what the application adds, such as one for viruses;
4. images are encoded anew, so that nothing but the picture is left, in all variants.

Whoever refuses raises an `APIException` with words for the sender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from strongback.exceptions import APIException
from strongback.file.exceptions import EmptyFile, FileTooLarge, WrongFileType
from strongback.file.image_error import HeicRefused
from strongback.file.kind import ORIGINAL, FileKind
from strongback.file.type import HEIC

Scanner = Callable[[Path, FileKind], object]
"""Looks at a whole file, and raises `FileRefused` where it may not be kept."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image, encoded anew."""

    content_type: str
    """Type of all files."""
    width: int
    height: int
    files: Mapping[str, Path]
    """The files by the names of the variants, and `original`."""


class ImageEncoder(Protocol):
    """Encodes images anew."""

    def encode(self, source: Path, kind: FileKind) -> Encoded:
        """Encode an image and its variants into files beside it.

        The folder of the source is this upload's own, and is removed after it.

        Args:
            source: The image; its type has been found to be one of the kind's.
            kind: Its kind, with the variants.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file that may be kept."""

    content_type: str
    files: Mapping[str, Path]
    """What is kept, by variant."""
    width: int | None = None
    height: int | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes by variant."""
        return {name: path.stat().st_size for name, path in self.files.items()}


@dataclass(slots=True)
class Inspector:
    """Inspects files.

    Args:
        detect: Tells the type of a file by its content.
        images: Encodes images anew.
    """

    detect: Callable[[Path], str]
    images: ImageEncoder
    scanners: list[Scanner] = field(default_factory=list)

    def inspect(self, source: Path, kind: FileKind) -> Inspected:
        """Inspect a file, which lies alone in a folder of its own.

        Raises:
            APIException: It is refused.
        """
        check_size(source.stat().st_size, kind)
        found = self.detect(source)
        if found not in kind.types:
            raise refusal_of(found, kind)
        for scan in self.scanners:
            scan(source, kind)
        if not found.startswith("image/"):
            return Inspected(found, {ORIGINAL: source})
        made = self.images.encode(source, kind)
        return Inspected(made.content_type, made.files, made.width, made.height)


def refusal_of(found: str, kind: FileKind) -> APIException:
    """The error that says which types a kind allows instead of the one that was found."""
    if found == HEIC and "image/jpeg" in kind.types:
        return HeicRefused()
    return WrongFileType(params={"found": found, "types": ", ".join(sorted(kind.types))})


def check_size(size: int, kind: FileKind) -> None:
    """Refuse a size that the kind does not allow.

    Raises:
        EmptyFile: There is nothing.
        FileTooLarge: There is too much.
    """
    if size == 0:
        raise EmptyFile
    if size > kind.max_bytes:
        raise FileTooLarge(params={"kind": kind.name, "limit": f"{kind.max_bytes:,}"})
