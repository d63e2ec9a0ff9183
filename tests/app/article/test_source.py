from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.article.source import Document, Refusal, documents_in_folder

TEXT = "# Title\n\nText.\n"


def write(folder: Path, name: str, content: str | bytes = TEXT) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def paths(documents: list[Document]) -> list[str]:
    return [str(document.path) for document in documents]


class TestFolder:
    def test_gives_every_markdown_file_in_order(self, tmp_path):
        for name in ("zh/b.md", "a.markdown", "a.txt", "B.MD", "a/c.md", ".md", "img.png"):
            write(tmp_path, name)
        assert paths(documents_in_folder(tmp_path)) == ["B.MD", "a/c.md", "a.markdown", "zh/b.md"]

    @pytest.mark.parametrize(
        "name",
        [".obsidian/x.md", ".trash/x.md", ".git/a/x.md", "node_modules/x/README.md", ".x.md"],
    )
    def test_says_which_files_are_none_to_import(self, tmp_path, name):
        write(tmp_path, name)
        (document,) = documents_in_folder(tmp_path)
        assert document.skipped.startswith("in ")

    def test_may_be_below_a_hidden_one_itself(self, tmp_path):
        write(tmp_path, ".notes/x.md")
        (document,) = documents_in_folder(tmp_path / ".notes")
        assert document.skipped == ""

    @pytest.mark.parametrize(
        "start", ["blog/_drafts", "blog/_drafts/2015", "blog/_drafts/2015/x.md"]
    )
    def test_below_drafts_is_known_as_such(self, tmp_path, start):
        write(tmp_path, "blog/_drafts/2015/x.md")
        assert paths(documents_in_folder(tmp_path / start)) == ["_drafts/2015/x.md"]

    def test_refuses_a_link_that_leads_out_of_it(self, tmp_path):
        target = write(tmp_path, "secret.md")
        (tmp_path / "blog").mkdir()
        (tmp_path / "blog/x.md").symlink_to(target)
        (document,) = documents_in_folder(tmp_path / "blog")
        with pytest.raises(Refusal, match="a link that leads out of the folder"):
            document.text()

    @pytest.mark.parametrize("start", ["blog", "blog/x.md"])
    def test_takes_a_link_to_a_file_of_its_own_or_one_that_is_named(self, tmp_path, start):
        target = write(tmp_path, "blog/a/x.txt" if start == "blog" else "x.md")
        (tmp_path / "blog").mkdir(exist_ok=True)
        (tmp_path / "blog/x.md").symlink_to(target)
        (document,) = documents_in_folder(tmp_path / start)
        assert document.text() == TEXT

    @pytest.mark.parametrize("folder", ["", "a folder/"])
    def test_with_a_name_that_is_not_utf_8_is_read_by_its_encoding(self, tmp_path, folder):
        (tmp_path / folder).mkdir(exist_ok=True)
        name = os.fsencode(tmp_path) + f"/{folder}".encode() + "中文.md".encode("gbk")
        Path(os.fsdecode(name)).write_text(TEXT)
        (document,) = documents_in_folder(tmp_path)
        with pytest.raises(Refusal, match="bad name: it is not UTF-8"):
            document.text()
        assert document.name.encode()
        (document,) = documents_in_folder(tmp_path, "gbk")
        assert (str(document.path), document.text()) == (f"{folder}中文.md", TEXT)


class TestText:
    def test_that_is_not_utf_8_is_read_in_its_encoding(self, tmp_path):
        write(tmp_path, "a.md", "中文".encode("gbk"))
        write(tmp_path, "b.md", "中文")
        assert [each.text() for each in documents_in_folder(tmp_path, "gbk")] == ["中文", "中文"]

    def test_in_another_encoding_is_refused_with_the_remedy(self, tmp_path):
        write(tmp_path, "a.md", b"a\xff")
        (document,) = documents_in_folder(tmp_path)
        with pytest.raises(Refusal, match=r"byte 0xff at offset 1: save it as UTF-8, or name its"):
            document.text()
        (document,) = documents_in_folder(tmp_path, "gbk")
        with pytest.raises(Refusal, match="neither UTF-8 nor gbk"):
            document.text()


def test_a_name_is_shown_on_one_line(tmp_path):
    write(tmp_path, "a\nb\x1b[31m.md")
    (document,) = documents_in_folder(tmp_path)
    assert document.name == f"{tmp_path}/a\ufffdb\ufffd[31m.md"
