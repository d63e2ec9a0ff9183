"""Type of a file by its content; what a sender calls it decides nothing.

Only types that somebody has a use for are told apart. What is unknown is
`application/octet-stream`, which a browser saves and never runs; what a browser would run is named
as what it is, so that a kind of file can refuse it.
"""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from pathlib import Path

from strongback.extra import missing_extra

HEAD = 4096
"""Bytes at the beginning of a file that tell its type."""
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
HEIC = "image/heic"
IMAGES: frozenset[str] = frozenset(
    {"image/avif", "image/gif", "image/jpeg", "image/png", "image/webp", HEIC}
)
"""Types that are decoded and written anew."""

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
# What a browser takes for a page where nothing else is said (WHATWG, MIME sniffing, section 7.1).
_MARKUP = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|script|iframe|style|title|table|div|font|h1"
    rb"|a|b|br|p|svg|!--|\?xml|[a-z]+:svg)(?![a-z0-9])",
    re.IGNORECASE,
)
_SVG = re.compile(rb"<(?:[a-z]+:)?svg[\s>/]", re.IGNORECASE)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_BOMS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def type_of(head: bytes) -> str:
    """The type of a file, by its first `HEAD` bytes, or all of it."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    return _of_text(head)


def read_type(path: Path) -> str:
    """The type of the file at a path."""
    with path.open("rb") as file:
        return type_of(file.read(HEAD))


def _of_brands(head: bytes) -> str:
    """The type of an ISO base media file, by the brands in its first box."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))}
    if brands & _AVIF_BRANDS:
        return "image/avif"
    if brands & _HEIF_BRANDS:
        return HEIC
    return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"


def _of_text(head: bytes) -> str:
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            head = head.decode(encoding, "replace").encode()
    if _MARKUP.match(head):
        return "image/svg+xml" if _SVG.search(head) else "text/html"
    is_text = _is_utf8(head) and not _CONTROLS.search(head)
    return TEXT if is_text else UNKNOWN


def _is_utf8(head: bytes) -> bool:
    # Only the end of a file is final: a character may be cut at the end of the head.
    decoder = getincrementaldecoder("utf-8")()
    try:
        decoder.decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError:
        return False
    return True


def readable_images() -> frozenset[str]:
    """The types of images that are read here; HEIC needs the extra `heic`."""
    return IMAGES - {HEIC} if missing_extra("heic", HEIC) else IMAGES
