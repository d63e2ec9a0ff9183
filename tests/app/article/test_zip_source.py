from __future__ import annotations

import io
import random
import stat
import struct
import tracemalloc
import zlib
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZIP_STORED, ZipFile, ZipInfo

import pytest

from app.article.exceptions import ArchiveRefused
from app.article.source import MAX_BYTES, Refusal
from app.article.zip_source import MAX_ENTRIES, documents_in_zip

TEXT = "# Title\n\nText.\n"


def archive(*entries: tuple[str | ZipInfo, str | bytes], method: int = ZIP_DEFLATED) -> io.BytesIO:
    file = io.BytesIO()
    with ZipFile(file, "w", method) as target:
        for name, content in entries:
            target.writestr(name, content)
    return file


def texts(file: io.BytesIO) -> dict[str, str]:
    """What each document says, or why it is refused."""
    found = {}
    for document in documents_in_zip(file):
        try:
            found[document.name] = document.text()
        except Refusal as refusal:
            found[document.name] = str(refusal)
    return found


def why(file: io.BytesIO) -> str:
    """Why the whole archive is refused."""
    with pytest.raises(ArchiveRefused) as caught:
        documents_in_zip(file)
    (problem,) = caught.value.errors
    assert (problem["field"], problem["type"]) == ("form.file", "archive")
    return problem["message"]


def renamed(file: io.BytesIO, old: bytes, new: bytes) -> io.BytesIO:
    """The same bytes with another name in both places, as no well-behaved program writes it."""
    assert len(old) == len(new)
    return io.BytesIO(file.getvalue().replace(old, new))


class TestContent:
    def test_is_every_markdown_file_in_order(self):
        names = ["zh/b.md", "a.markdown", "a.txt", "B.MD", "a/c.md", "img.png", "a/"]
        found = documents_in_zip(archive(*((name, TEXT) for name in names)))
        assert [it.name for it in found] == ["B.MD", "a/c.md", "a.markdown", "zh/b.md"]
        assert {it.text() for it in found} == {TEXT}

    @pytest.mark.parametrize("method", [ZIP_STORED, ZIP_DEFLATED])
    def test_may_be_stored_or_deflated(self, method):
        assert texts(archive(("a.md", TEXT), method=method)) == {"a.md": TEXT}

    def test_is_not_what_macos_adds(self):
        file = archive(("a.md", TEXT), ("__MACOSX/._a.md", b"\x00\x05"), ("._a.md", b"\x00\x05"))
        assert texts(file) == {"a.md": TEXT}

    def test_name_of_a_program_that_does_not_say_utf_8_is_read(self):
        name = "指南.md".encode()
        file = renamed(
            archive(("?" * (len(name) - 3) + ".md", TEXT)), b"?" * (len(name) - 3) + b".md", name
        )
        assert texts(file) == {"指南.md": TEXT}

    def test_what_precedes_a_zip_is_no_part_of_it(self):
        """As in an archive that unpacks itself."""
        assert texts(io.BytesIO(b"#!/bin/sh\n" * 10 + archive(("a.md", TEXT)).getvalue()))

    def test_of_a_file_that_was_read_before_is_read_from_its_start(self):
        file = archive(("a.md", TEXT))
        file.read()
        assert texts(file) == texts(file) == {"a.md": TEXT}


class TestRefusedFile:
    """The others are imported all the same."""

    def reason(self, file: io.BytesIO) -> str:
        found = texts(file)
        assert found.pop("good.md") == TEXT
        (text,) = found.values()
        return text

    @pytest.mark.parametrize(
        "name", ["../a.md", "a/../../b.md", "/a.md", "//a.md", "a\\b.md", "C:\\a.md", "..\\a.md"]
    )
    def test_leads_out_of_the_archive(self, name):
        assert self.reason(archive(("good.md", TEXT), (name, TEXT))).startswith("bad path")

    def test_is_a_link(self):
        link = ZipInfo("a.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        assert self.reason(archive(("good.md", TEXT), (link, "/etc/passwd"))).startswith("a link")

    def test_has_a_name_that_is_not_utf_8(self):
        name = "中文.md".encode("gbk")
        file = renamed(archive(("good.md", TEXT), ("????.md", TEXT)), b"????.md", name)
        assert self.reason(file).startswith("bad name")

    def test_is_encrypted(self):
        file = bytearray(archive(("good.md", TEXT), ("a.md", TEXT)).getvalue())
        at = file.rindex(b"PK\x01\x02")
        file[at + 8] |= 1
        assert self.reason(io.BytesIO(bytes(file))).startswith("encrypted")

    @pytest.mark.parametrize("method", [ZIP_BZIP2, ZIP_LZMA])
    def test_is_compressed_by_what_unpacks_without_a_limit(self, method):
        file = io.BytesIO()
        with ZipFile(file, "w") as target:
            target.writestr("good.md", TEXT)
            target.writestr("a.md", b"a" * MAX_BYTES, compress_type=method)
        assert self.reason(file).startswith("bad compression")

    def test_is_too_large(self):
        file = archive(("good.md", TEXT), ("a.md", "a" * (MAX_BYTES + 1)))
        assert self.reason(file).startswith("too large: 1,048,577 bytes")

    def test_is_larger_than_it_says(self):
        """Ten megabytes that claim to be ten bytes are not unpacked."""
        body = zlib.compressobj(wbits=-15)
        data = body.compress(b"a" * 10_000_000) + body.flush()
        file = archive(("good.md", TEXT), ("a.md", data), method=ZIP_STORED)
        raw = bytearray(file.getvalue())
        for mark, method_at, size_at in ((b"PK\x03\x04", 8, 22), (b"PK\x01\x02", 10, 24)):
            at = raw.rindex(mark)
            struct.pack_into("<H", raw, at + method_at, ZIP_DEFLATED)
            struct.pack_into("<I", raw, at + size_at, 10)
        tracemalloc.start()
        reason = self.reason(io.BytesIO(bytes(raw)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert reason.startswith("damaged")
        assert peak < 5_000_000

    def test_is_damaged(self):
        file = bytearray(
            archive(("good.md", TEXT), ("a.md", "text " * 50), method=ZIP_STORED).getvalue()
        )
        file[file.rindex(b"text text")] ^= 1
        assert self.reason(io.BytesIO(bytes(file))).startswith("damaged")

    def test_is_not_utf_8(self):
        assert self.reason(archive(("good.md", TEXT), ("a.md", b"\xff"))).startswith("bad UTF-8")


class TestRefusedArchive:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"PK",
            b"PK\x05\x06",
            b"text",
            b"\x1f\x8b\x08",
            b"Rar!\x1a\x07",
            b"PK\x03\x04" * 1000,
        ],
        ids=lambda content: repr(content[:10]),
    )
    def test_is_no_zip(self, content):
        assert why(io.BytesIO(content)).startswith("This is not a zip file")

    def test_is_cut_off(self):
        content = archive(("a.md", "text " * 1000)).getvalue()
        for length in (10, len(content) // 2, len(content) - 1):
            assert why(io.BytesIO(content[:length])).startswith("This is not a zip file")

    def test_has_a_name_that_is_not_the_utf_8_that_it_says(self):
        file = renamed(archive(("é.md", TEXT)), "é".encode(), b"\xff\xff")
        assert why(file).startswith("This is not a zip file")

    def test_holds_nothing_to_import(self):
        assert why(archive(("a.txt", TEXT))).startswith("The archive holds no .md")
        assert why(archive()).startswith("The archive holds no .md")

    def test_has_too_many_entries(self):
        file = archive(*((f"{number}.md", "") for number in range(MAX_ENTRIES + 1)))
        assert why(file).startswith("The archive has more than 10,000 entries")

    def test_has_more_entries_than_it_says(self):
        """They are counted before one of them becomes an object."""
        file = io.BytesIO(b"PK\x01\x02" * (MAX_ENTRIES + 1) + archive(("a.md", TEXT)).getvalue())
        assert why(file).startswith("The archive has more than 10,000 entries")

    def test_unpacks_to_far_more_than_its_size(self):
        megabyte = b"\0" * MAX_BYTES
        file = archive(*((f"{number}.md", megabyte) for number in range(40)))
        assert len(file.getvalue()) < 100_000
        assert why(file).startswith("The archive is a zip bomb")

    def test_claims_gigabytes(self):
        raw = bytearray(archive(("a.md", TEXT)).getvalue())
        struct.pack_into("<I", raw, raw.rindex(b"PK\x01\x02") + 24, 2**32 - 2)
        assert why(io.BytesIO(bytes(raw))).startswith("Unpacked, the archive is larger")

    def test_has_entries_that_share_their_bytes(self):
        """Many entries of one body: each is small, all together are not."""
        file = archive(("a.md", bytes(random.Random(1).randbytes(100_000))))
        raw = file.getvalue()
        at, end = raw.rindex(b"PK\x01\x02"), raw.rindex(b"PK\x05\x06")
        entry, tail = raw[at:end], bytearray(raw[end:])
        struct.pack_into("<HHI", tail, 8, 500, 500, len(entry) * 500)
        assert why(io.BytesIO(raw[:at] + entry * 500 + bytes(tail))).startswith(
            "The archive is a zip bomb"
        )


def test_whatever_comes_is_read_or_refused():
    """Single bytes of a good archive changed at random: nothing else than a refusal is raised."""
    good = archive(("a.md", TEXT * 20), ("zh/b.md", TEXT), ("é.md", TEXT)).getvalue()
    chance = random.Random(7)
    outcomes = set()
    for _ in range(3000):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        try:
            outcomes.add(len(texts(io.BytesIO(bytes(raw)))))
        except ArchiveRefused:
            outcomes.add(-1)
    assert outcomes > {-1, 3}


def unflagged(name: bytes, *others: str, extra: bytes = b"") -> io.BytesIO:
    """An archive with a name in these bytes that are not said to be UTF-8, and other files."""
    stand_in = ZipInfo("?" * len(name))
    stand_in.extra = extra
    entries: list[tuple[str | ZipInfo, str | bytes]] = [(other, TEXT) for other in others]
    return renamed(archive((stand_in, TEXT), *entries), b"?" * len(name), name)


def unicode_path(raw: bytes, name: str) -> bytes:
    data = struct.pack("<BL", 1, zlib.crc32(raw)) + name.encode()
    return struct.pack("<HH", 0x7075, len(data)) + data


class TestNames:
    def test_of_the_unicode_path_field_go_before_those_of_the_system(self):
        raw = "中文.md".encode("gbk")
        file = unflagged(raw, extra=unicode_path(raw, "中文.md"))
        assert texts(file) == {"中文.md": TEXT}

    def test_of_a_unicode_path_field_of_another_name_are_none(self):
        raw = "café.md".encode("cp437")
        file = unflagged(raw, extra=unicode_path(b"other", "else.md"))
        assert texts(file) == {"café.md": TEXT}

    def test_of_a_unicode_path_field_lead_nowhere_either(self):
        raw = b"aaaaa.md"
        file = unflagged(raw, "good.md", extra=unicode_path(raw, "../a.md"))
        assert texts(file)["../a.md"].startswith("bad path")

    @pytest.mark.parametrize(
        "name",
        ["café.md", "Übersicht.md", "Übergröße.md", "señor.md", "naïve/über uns.md", "Straße.md"],
    )
    def test_are_in_code_page_437_by_the_book(self, name):
        assert texts(unflagged(name.encode("cp437"))) == {name: TEXT}

    @pytest.mark.parametrize(
        "name, encoding",
        [
            ("中文.md", "gbk"),
            ("说明/安装指南.md", "gbk"),
            ("テスト.md", "shift_jis"),
            ("記事.md", "shift_jis"),
            ("ソート.md", "shift_jis"),  # with a byte that is a backslash elsewhere
            ("繁體中文.md", "big5"),
            ("한국어.md", "euc_kr"),
            ("привет.md", "cp1251"),
        ],
    )
    def test_in_another_encoding_are_read_once_it_is_said(self, name, encoding):
        file = unflagged(name.encode(encoding), "good.md")
        found = texts(file)
        assert found.pop("good.md") == TEXT
        (reason,) = found.values()
        assert reason.startswith("bad name: it is not UTF-8: rename it, or name its encoding")
        document, _ = sorted(documents_in_zip(file, encoding), key=lambda it: it.name == "good.md")
        assert (document.name, document.text()) == (name, TEXT)

    def test_that_are_not_in_the_encoding_that_is_said_refuse_the_archive(self):
        with pytest.raises(ArchiveRefused) as caught:
            documents_in_zip(unflagged(b"a\xff.md", "good.md"), "gbk")
        (problem,) = caught.value.errors
        assert problem["field"] == "form.encoding"
        assert problem["message"] == "Not every name in the archive is in this encoding."

    def test_in_utf_8_are_read_whatever_encoding_is_said(self):
        name = "指南.md".encode()
        (document,) = documents_in_zip(unflagged(name), "gbk")
        assert document.name == "指南.md"


class TestWrappingFolder:
    def paths(self, *names: str) -> list[str]:
        return [str(it.path) for it in documents_in_zip(archive(*((name, TEXT) for name in names)))]

    def test_is_passed_through(self):
        names = ["blog-main/", "blog-main/zh/hello.md", "blog-main/a.png", "__MACOSX/blog-main/._a"]
        assert self.paths(*names, ".DS_Store") == ["zh/hello.md"]

    def test_is_no_name_that_says_something(self):
        for folder in ("zh", "pt-BR", "_posts", "_drafts"):
            assert self.paths(f"{folder}/a.md", f"{folder}/b.md") == [
                f"{folder}/a.md",
                f"{folder}/b.md",
            ]

    def test_may_follow_a_dot(self):
        assert self.paths("./blog/zh/a.md", "./blog/b.md") == ["b.md", "zh/a.md"]

    def test_is_not_one_of_several(self):
        assert self.paths("a/a.md", "b/b.md") == ["a/a.md", "b/b.md"]
        assert self.paths("a/a.md", "LICENSE") == ["a/a.md"]

    def test_has_a_name_in_reports(self):
        (document,) = documents_in_zip(archive(("blog/a.md", TEXT)))
        assert document.name == "blog/a.md"

    def test_does_not_hide_a_path_that_leads_out(self):
        found = texts(archive(("a/a.md", TEXT), ("../b.md", TEXT)))
        assert found["../b.md"].startswith("bad path")


class TestHidden:
    def test_files_are_none_to_import(self):
        names = [".obsidian/x.md", "a/.trash/x.md", "node_modules/x/README.md", "page.md"]
        found = documents_in_zip(archive(*((name, TEXT) for name in names)))
        assert [it.name for it in found if not it.skipped] == ["page.md"]

    @pytest.mark.parametrize("folder", [".obsidian", "node_modules"])
    def test_files_alone_are_nothing_to_import(self, folder):
        assert why(archive((f"{folder}/x.md", TEXT))).startswith("The archive holds no .md")
