"""What a file is, by its content."""

from __future__ import annotations

import pytest

from strongback.exceptions import ConfigurationError
from strongback.extra import missing_extra
from strongback.file.kind import FileKind, FileKinds
from strongback.file.type import HEAD, readable_images, type_of
from tests.support import image


@pytest.mark.parametrize("form", image.FORMATS)
def test_an_image_is_known_by_its_content(form):
    assert type_of(image.with_everything(form)) == f"image/{form.lower()}"


@pytest.mark.parametrize(
    "content, expected",
    [
        (b"%PDF-1.7\n<script>", "application/pdf"),
        (b"PK\x03\x04", "application/zip"),
        (b"RIFF\x00\x00\x00\x00WAVE", "audio/wav"),
        (b"RIFF\x00\x00\x00\x00AVI ", "application/octet-stream"),
        (b"\x7fELF\x02\x01\x01\x00", "application/octet-stream"),
        ("a,b\n1,你\n".encode(), "text/plain"),
        (b"a < b and <b>bold</b> later", "text/plain"),
        (b"\xe9t\xe9", "application/octet-stream"),
        (b"text\x00", "application/octet-stream"),
        (b"", "text/plain"),
    ],
)
def test_other_files_are_known_by_their_content(content, expected):
    assert type_of(content) == expected


def test_a_character_may_be_cut_at_the_end_of_the_head():
    assert type_of(("你" * HEAD).encode()[:HEAD]) == "text/plain"


@pytest.mark.parametrize(
    "content, expected",
    [
        (image.SVG, "image/svg+xml"),
        (b'\n<?xml version="1.0"?>\n<!-- x -->\n' + image.SVG, "image/svg+xml"),
        (b'<s:svg xmlns:s="http://www.w3.org/2000/svg">', "image/svg+xml"),
        ("\ufeff<svg onload=alert(1)>".encode(), "image/svg+xml"),
        ("\ufeff<svg onload=alert(1)>".encode("utf-16-le"), "image/svg+xml"),
        (image.HTML, "text/html"),
        (b"  <ScRiPt>alert(1)</script>", "text/html"),
    ],
)
def test_what_a_browser_would_run_is_named_as_what_it_is(content, expected):
    assert type_of(content) == expected


@pytest.mark.parametrize(
    "content, expected",
    [
        (image.heif(b"heic", b"mif1"), "image/heic"),
        (image.heif(b"mif1", b"heic"), "image/heic"),
        (image.heif(b"mif1", b"avif"), "image/avif"),
        (image.heif(b"isom", b"mp41"), "video/mp4"),
        (image.heif(b"qt  "), "video/quicktime"),
    ],
)
def test_pictures_of_phones_and_films_are_told_apart(content, expected):
    assert type_of(content) == expected


def test_a_kind_cannot_allow_an_image_that_is_not_written_anew():
    """An SVG runs scripts, and nothing takes them out of it."""
    kind = FileKind("logo", types=("image/svg+xml",), max_bytes=1)
    with pytest.raises(ConfigurationError, match=r"image/svg\+xml cannot be decoded"):
        FileKinds().declare(kind)


@pytest.mark.skipif(missing_extra("heic", "") is None, reason="the extra heic is installed")
def test_a_kind_that_allows_heic_without_its_extra_is_refused_at_start():
    kind = FileKind("photo", types=("image/heic",), max_bytes=1)
    with pytest.raises(ConfigurationError, match=r'pip install "strongback\[heic\]"'):
        FileKinds().declare(kind)
    assert "image/heic" not in readable_images()
