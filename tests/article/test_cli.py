from __future__ import annotations

from pathlib import Path

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
    listed = client.get("/api/v1/articles?page_size=100").json["items"]
    bodies = {client.get(f"/api/v1/articles/{item['slug']}").json["body"] for item in listed}
    texts = {path.read_text() for path in (ROOT / "docs").rglob("*.md")}
    plain = {text for text in texts if text.strip() and not text.startswith("---")}
    assert plain
    assert plain <= bodies
