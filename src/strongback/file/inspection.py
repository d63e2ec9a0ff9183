"""What every file passes before anybody can see it, in this order.

1. size: that of its kind, before anything is read;
2. type: by the content, whatever the sender says;
3. scanners: what the application adds, such as one for viruses;
4. images are encoded anew, so that nothing but the picture is left, in all variants.

Whoever refuses raises an `APIException` with words for the sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strongback.file.exceptions import EmptyFile, FileTooLarge, HeicRefused, WrongFileType
from strongback.file.kind import ORIGINAL, FileKind
from strongback.file.type import HEIC, read_type

Scanner = Callable[[Path, FileKind], object]
"""Looks at a whole file, and raises `FileRefused` where it may not be kept."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A file that may be kept."""

    content_type: str
    files: Mapping[str, Path]
    """What is kept, by variant, `original` among them; all are of this type."""
    width: int | None = None
    height: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What the row of the file says of it, by column."""
        sizes = {name: path.stat().st_size for name, path in self.files.items()}
        return {
            "content_type": self.content_type,
            "sizes": sizes,
            "charged": sum(sizes.values()),
            "width": self.width,
            "height": self.height,
        }


Encode = Callable[[Path, FileKind], Inspected]
"""Encodes an image and its variants anew, into files beside it."""


def inspect(source: Path, kind: FileKind, scanners: Iterable[Scanner], encode: Encode) -> Inspected:
    """Inspect a file, which lies alone in a folder of its own.

    Raises:
        APIException: It is refused.
    """
    check_size(source.stat().st_size, kind)
    found = read_type(source)
    if found not in kind.types:
        if found == HEIC and "image/jpeg" in kind.types:
            raise HeicRefused
        raise WrongFileType(params={"found": found, "types": ", ".join(sorted(kind.types))})
    for scan in scanners:
        scan(source, kind)
    if found.startswith("image/"):
        return encode(source, kind)
    return Inspected(found, {ORIGINAL: source})


def check_size(size: int, kind: FileKind) -> None:
    """Raise `EmptyFile` or `FileTooLarge` for a size that the kind does not allow."""
    if size == 0:
        raise EmptyFile
    if size > kind.max_bytes:
        raise FileTooLarge(params={"kind": kind.name, "limit": f"{kind.max_bytes:,}"})
