"""Kinds of files, which parts and slices declare."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import KW_ONLY, dataclass

from strongback.auth.permission import Permission
from strongback.exceptions import ConfigurationError
from strongback.extra import missing_extra
from strongback.file.type import HEIC, readable_images

NAME_LENGTH = 40
ORIGINAL = "original"
"""Name of the file itself, beside its variants."""
MAX_SIDE = 4096
"""Pixels; a larger image of some sorts would take more memory than its decoder has."""
_NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Variant:
    """A smaller copy of an image."""

    name: str
    """Name, such as `small`; part of the address."""
    width: int
    """Largest width in pixels."""
    height: int
    """Largest height in pixels."""
    is_cropped: bool = False
    """Whether it is cut to exactly this size, instead of fitting inside it."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file.

        AVATAR = FileKind(
            "avatar",
            types=readable_images(),
            max_bytes=5_000_000,
            is_public=True,
            variants=(Variant("small", 64, 64, is_cropped=True),),
        )
        app.services[Files].declare(AVATAR)

    An image is encoded anew, whatever its kind.
    """

    name: str
    """Name, such as `avatar`."""
    _: KW_ONLY
    types: Collection[str]
    """Types that are allowed, decided by the content alone."""
    max_bytes: int
    """Largest size. By `POST /files` no more than `WEB_MAX_UPLOAD` arrives."""
    is_public: bool = False
    """Whether anybody may read it, by the CDN too; else its owner and `file:manage`."""
    variants: tuple[Variant, ...] = ()
    """Copies that are made of an image."""
    max_side: int = 2560
    """Largest width and height of an image; larger ones are scaled down."""
    is_still: bool = False
    """Whether an animation becomes its first frame; else it goes on moving, in all variants."""
    permission: Permission | None = None
    """Permission to send one, beside `file:write`."""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the declaration."""
        if len(self.name) > NAME_LENGTH or not _NAME.fullmatch(self.name):
            yield f"its name is not like article-image, with at most {NAME_LENGTH} characters"
        if not self.types:
            yield "it allows no type"
        if self.max_bytes < 1:
            yield "max_bytes is not positive"
        yield from self._problems_of_images()
        names = [ORIGINAL, *(each.name for each in self.variants)]
        for each in self.variants:
            if not _NAME.fullmatch(each.name) or len(each.name) > NAME_LENGTH:
                yield f"variant {each.name} has no name like small"
            if names.count(each.name) > 1:
                yield f"variant {each.name} has the name of another, or of the file itself"
            if each.width < 1 or each.height < 1:
                yield f"variant {each.name} has no size"

    def _problems_of_images(self) -> Iterator[str]:
        for name in sorted(set(self.types) - readable_images()):
            if name.startswith("image/"):
                missing = missing_extra("heic", name) if name == HEIC else None
                remedy = f": {missing}" if missing else ""
                yield f"{name} cannot be decoded and written anew{remedy}"
        if not 1 <= self.max_side <= MAX_SIDE:
            yield f"max_side is not between 1 and {MAX_SIDE}"


class FileKinds:
    """The kinds of an application, by name."""

    def __init__(self) -> None:
        self._kinds: dict[str, FileKind] = {}

    def declare(self, *kinds: FileKind) -> None:
        """Add kinds.

        Raises:
            ConfigurationError: One is wrong, or another of this name exists.
        """
        for kind in kinds:
            if self._kinds.setdefault(kind.name, kind) is not kind:
                raise ConfigurationError(f"kind of file {kind.name} is declared twice; rename one")
            for problem in kind.problems():
                raise ConfigurationError(f"kind of file {kind.name}: {problem}")

    def get(self, name: str) -> FileKind | None:
        """The kind of a name; None if it is declared no longer."""
        return self._kinds.get(name)

    def __iter__(self) -> Iterator[FileKind]:
        return iter(self._kinds.values())
