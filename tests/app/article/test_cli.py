from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from app.core.config import ROOT
from app.user.service import UserService


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "page.md").write_text("# Page\n\nText.\n")
    return folder


def test_reports_what_became_of_the_files(library, folder):
    assert library.run("article", "import", str(folder)) == (
        0,
        "created 1, updated 0, unchanged 0, refused 0\n",
    )


def test_a_second_run_changes_nothing(library, folder):
    library.run("article", "import", str(folder))
    status, output = library.run("article", "import", str(folder))
    assert (status, output) == (0, "created 0, updated 0, unchanged 1, refused 0\n")


def test_one_changed_file_is_one_update(library, folder):
    (folder / "other.md").write_text("Other")
    library.run("article", "import", str(folder))
    (folder / "page.md").write_text("# Page\n\nMore text.\n")
    status, output = library.run("article", "import", str(folder))
    assert (status, output) == (0, "created 0, updated 1, unchanged 1, refused 0\n")


def test_refusals_are_listed_and_are_a_failure(library, folder):
    (folder / "broken.md").write_bytes(b"\xff")
    status, output = library.run("article", "import", str(folder))
    assert status == 1
    assert f"refused  {folder / 'broken.md'}: bad UTF-8: byte 0xff at offset 0" in output
    assert "created 1, updated 0, unchanged 0, refused 1" in output


def test_a_folder_without_markdown_is_said(library, tmp_path):
    (tmp_path / "empty").mkdir()
    status, output = library.run("article", "import", str(tmp_path / "empty"))
    assert status == 0
    assert "No .md or .markdown files" in output


def test_a_folder_that_is_not_there_is_a_failure(library, tmp_path):
    status, output = library.run("article", "import", str(tmp_path / "gone"))
    assert status == 2
    assert "does not exist" in output


def test_the_author_is_the_importer_unless_said_otherwise(library, client, folder):
    library.run("article", "import", str(folder))
    assert client.get("/api/v1/articles/page").json["author"] == "importer"


def test_nobody_signs_in_as_the_importer(app, library, folder):
    library.run("article", "import", str(folder))
    with library.database.scope():
        assert app.services[UserService].get("importer").password_hash is None


def test_the_author_may_be_named(library, client, folder):
    library.add_user("ada")
    assert library.run("article", "import", str(folder), "--author", "ada")[0] == 0
    assert client.get("/api/v1/articles/page").json["author"] == "ada"


def test_an_unknown_author_is_refused_with_the_remedy(library, folder):
    status, output = library.run("article", "import", str(folder), "--author", "nobody")
    assert status == 1
    assert "user create nobody" in output


@pytest.mark.parametrize("language", ["", "e", "english!", "EN", "a-b"])
def test_a_language_that_is_none_is_refused(library, folder, language):
    status, output = library.run("article", "import", str(folder), "--language", language)
    assert status == 2
    assert "is not a language tag" in output


def test_the_language_may_be_named(library, client, folder):
    library.run("article", "import", str(folder), "--language", "zh")
    assert client.get("/api/v1/articles/page-zh").json["language"] == "zh"


def test_the_projects_own_pages_are_imported_and_read_back(library, client):
    """What a fresh clone shows, served as it was written."""
    library.run("article", "import", str(ROOT / "docs"))
    pages = [client.get(f"/api/v1/articles?page_size=100&page={number}") for number in (1, 2)]
    listed = [item for page in pages for item in page.json["items"]]
    bodies = {client.get(f"/api/v1/articles/{item['slug']}").json["body"] for item in listed}
    texts = {path.read_text() for path in (ROOT / "docs").rglob("*.md")}
    plain = {text for text in texts if text.strip() and not text.startswith("---")}
    assert plain
    assert plain <= bodies


def test_what_is_skipped_is_counted_and_listed_on_demand(library, folder):
    (folder / ".obsidian").mkdir()
    (folder / ".obsidian" / "x.md").write_text("x")
    status, output = library.run("article", "import", str(folder))
    assert (status, output) == (
        0,
        "created 1, updated 0, unchanged 0, refused 0, skipped 1\n",
    )
    status, output = library.run("article", "import", "--verbose", str(folder))
    assert f"skipped  {folder}/.obsidian/x.md: in a hidden folder, or hidden itself" in output


def zipped(path: Path, name: bytes) -> Path:
    stand_in = "?" * len(name)
    with ZipFile(path, "w") as archive:
        archive.writestr(stand_in, "# Page\n\nText.\n")
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name))
    return path


def test_a_zip_is_imported_as_the_route_does(library, client, tmp_path):
    path = zipped(tmp_path / "blog.zip", b"blog-main/zh/page.md")
    assert library.run("article", "import", str(path))[0] == 0
    assert client.get("/api/v1/articles/page-zh").json["language"] == "zh"


def test_a_file_that_is_no_zip_is_refused_in_one_line(library, tmp_path):
    (tmp_path / "blog.zip").write_text("no zip")
    status, output = library.run("article", "import", str(tmp_path / "blog.zip"))
    assert (status, output) == (1, "Error: This is not a zip file, or a damaged one.\n")


def test_an_encoding_may_be_named(library, client, tmp_path):
    path = zipped(tmp_path / "blog.zip", "中文.md".encode("gbk"))
    status, output = library.run("article", "import", str(path))
    assert status == 1
    assert "name its encoding, such as gbk" in output
    assert library.run("article", "import", str(path), "--encoding", "gbk")[0] == 0
    assert client.get("/api/v1/articles/中文").status_code == 200


def test_an_encoding_that_is_unknown_is_refused(library, folder):
    status, output = library.run("article", "import", str(folder), "--encoding", "rot13")
    assert status == 2
    assert "'gbk'" in output
