from __future__ import annotations

import pytest

from strongback.file.file_model import SHOWN_LENGTH
from strongback.file.naming import content_disposition, shown_name


@pytest.mark.parametrize(
    "given, content_type, shown",
    [
        ("holiday.PNG", "image/png", "holiday.PNG"),
        ("../../etc/passwd", "text/plain", "passwd.txt"),
        ("C:\\temp\\a.pdf", "application/pdf", "a.pdf"),
        ("invoice.exe", "application/pdf", "invoice.exe.pdf"),
        ("page.html", "image/webp", "page.html.webp"),
        ("a\0.png", "image/png", "a.png"),
        ("\u202egnp.exe", "image/png", "gnp.exe.png"),
        ("a\r\nSet-Cookie: x.txt", "text/plain", "aSet-Cookie_ x.txt"),
        ('a"b;c%d.txt', "text/plain", "a_b_c_d.txt"),
        ("", "image/png", "file.png"),
        ("...", "image/png", "file.png"),
        ("\ud800", "image/png", "file.png"),
        ("文件.txt", "text/plain", "文件.txt"),
        ("x", "application/octet-stream", "x.bin"),
        (".htaccess", "text/plain", "htaccess.txt"),
    ],
)
def test_a_name_is_shown_without_what_may_mislead(given, content_type, shown):
    assert shown_name(given, content_type) == shown


def test_a_long_name_keeps_its_extension():
    name = shown_name("ä" * 300 + ".jpg", "image/jpeg")
    assert len(name) == SHOWN_LENGTH
    assert name.endswith("ä.jpg")


def test_a_header_has_the_name_in_ascii_and_in_full():
    header = content_disposition("Übung.pdf", "application/pdf")
    assert header == "attachment; filename=\"_bung.pdf\"; filename*=UTF-8''%C3%9Cbung.pdf"
    assert header.isascii()


@pytest.mark.parametrize(
    "content_type, way",
    [
        ("image/webp", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("text/plain", "attachment"),
        ("application/pdf", "attachment"),
    ],
)
def test_only_what_no_browser_runs_is_shown(content_type, way):
    assert content_disposition("a", content_type).startswith(way)
