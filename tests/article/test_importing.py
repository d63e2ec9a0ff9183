from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from app.article.importing import Importer, Outcome, Report, split_front_matter
from app.article.schema import ArticleOut
from app.article.service import ArticleService
from app.article.source import (
    MAX_BYTES,
    Document,
    Refusal,
    documents_in_folder,
    documents_in_zip,
)

Import = Callable[..., dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write a file below the folder."""

    def write(name: str, content: str | bytes = "# Title\n\nText.\n") -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def zipped(folder: Path) -> list[Document]:
    """The same folder as a zip."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return documents_in_zip(file)


@pytest.fixture(params=[documents_in_folder, zipped], ids=["folder", "zip"])
def run(request: Any, app: Any, library: Any, folder: Path) -> Import:
    """Import the folder; gives each file's outcome, or the reason why it was refused."""
    library.ensure_user("ada")
    library.ensure_user("eve")

    def run(author: str = "ada", language: str | None = None) -> dict[str, str]:
        service: ArticleService = app.services[ArticleService]
        importer = Importer(service, author=author, language=language)
        outcomes = {
            result.name: result.reason or str(result.outcome)
            for result in importer.run(request.param(folder))
        }
        # A file is named by its path, in a zip by its name there.
        prefix = f"{folder}/"
        return {
            name.removeprefix(prefix): text.replace(prefix, "") for name, text in outcomes.items()
        }

    return run


@pytest.fixture
def stored(app: Any) -> Callable[[str], Any]:
    """The article of this slug as the database has it."""

    def stored(slug: str) -> Any:
        service: ArticleService = app.services[ArticleService]
        with service.database.scope():
            article = service.find_by_slug(slug)
            assert article is not None
            return SimpleNamespace(
                **ArticleOut.model_validate(article).model_dump(), etag=article.validators.etag
            )

    return stored


class TestOutcome:
    def test_a_new_file_is_created(self, write, run, stored):
        write("page.md", "# Title\n\nText.\n")
        assert run() == {"page.md": "created"}
        assert (stored("page").title, stored("page").summary) == ("Title", "Text.")

    def test_a_second_run_changes_nothing(self, write, run, stored):
        write("a.md")
        write("zh/b.md", "---\ntitle: B\ntags: [x, y]\ndate: 2026-01-02\n---\nText\n")
        run()
        before = stored("a").updated_at, stored("a").version
        assert set(run().values()) == {"unchanged"}
        assert (stored("a").updated_at, stored("a").version) == before

    def test_one_changed_file_is_one_update(self, write, run, stored):
        for name in ("a.md", "b.md", "c.md"):
            write(name)
        run()
        write("b.md", "# Title\n\nOther text.\n")
        assert run() == {"a.md": "unchanged", "b.md": "updated", "c.md": "unchanged"}
        assert stored("b").body == "# Title\n\nOther text.\n"

    @pytest.mark.parametrize(
        "before, after",
        [
            ("title: A", "title: B"),
            ("summary: A", "summary: B"),
            ("tags: [a]", "tags: [a, b]"),
            ("tags: [a, b]", "tags: [b]"),
            ("tags: [a]", "other: x"),
            ("date: 2026-01-01", "date: 2026-01-02"),
            ("language: en", "language: fr\nslug: page"),
        ],
    )
    def test_a_changed_front_matter_is_an_update(self, write, run, stored, before, after):
        write("page.md", f"---\n{before}\n---\nText\n")
        run()
        tag = stored("page").etag
        write("page.md", f"---\n{after}\n---\nText\n")
        assert run() == {"page.md": "updated"}
        assert run() == {"page.md": "unchanged"}
        assert stored("page").etag != tag

    def test_the_order_of_tags_is_no_change(self, write, run):
        write("page.md", "---\ntags: [a, b]\n---\nText\n")
        run()
        write("page.md", "---\ntags: [b, a, b]\n---\nText\n")
        assert run() == {"page.md": "unchanged"}

    def test_a_failed_file_does_not_stop_the_others(self, write, run):
        write("a.md", "")
        write("b.md")
        assert run()["b.md"] == "created"

    def test_other_files_are_left_alone(self, write, run):
        for name in ("a.txt", "b.html", "c", "d.md.bak", ".md", "page.md"):
            write(name)
        assert run() == {"page.md": "created"}

    @pytest.mark.parametrize("name", ["a.md", "a.MD", "a.markdown"])
    def test_every_suffix_of_markdown_counts(self, write, run, name):
        write(name)
        assert run() == {name: "created"}

    def test_a_folder_named_like_a_file_is_entered(self, write, run):
        write("folder.md/page.md")
        assert list(run()) == ["folder.md/page.md"]

    def test_a_single_file_may_be_imported(self, write, app, library):
        library.ensure_user("ada")
        path = write("page.md")
        importer = Importer(app.services[ArticleService], author="ada")
        results = importer.run(documents_in_folder(path))
        assert [result.outcome for result in results] == [Outcome.CREATED]

    def test_a_report_counts(self, write, app, library, folder):
        library.ensure_user("ada")
        write("a.md")
        write("b.md", "")
        report = Report()
        for result in Importer(app.services[ArticleService], author="ada").run(
            documents_in_folder(folder)
        ):
            report.add(result)
        assert (report.counts[Outcome.CREATED], report.counts[Outcome.REFUSED]) == (1, 1)
        assert [refusal.name for refusal in report.refusals] == [str(folder / "b.md")]


class TestText:
    @pytest.mark.parametrize(
        "text",
        [
            "a\n",
            "a\r\nb\r\n",
            "a\rb",
            "  a  \n\n\n",
            "\ta",
            "中文 😀 \u200b",
            "a\x00b",
            "\\ ' \" % ` ;--",
            "a\u2028b",
            "e\u0301",
        ],
    )
    def test_is_kept_to_the_byte(self, write, run, stored, text):
        write("page.md", text)
        assert run() == {"page.md": "created"}
        assert stored("page").body == text

    def test_behind_front_matter_is_kept_to_the_byte(self, write, run, stored):
        write("page.md", b"---\r\ntitle: T\r\n---\r\n\r\n  Text\r\n")
        run()
        assert (stored("page").title, stored("page").body) == ("T", "\r\n  Text\r\n")

    def test_a_byte_order_mark_is_not_text(self, write, run, stored):
        write("page.md", b"\xef\xbb\xbf---\ntitle: T\n---\nText")
        run()
        assert (stored("page").title, stored("page").body) == ("T", "Text")

    def test_the_largest_file_is_imported(self, write, run, stored):
        write("page.md", "ü" * (MAX_BYTES // 2))
        assert run() == {"page.md": "created"}
        assert len(stored("page").body) == MAX_BYTES // 2


class TestRefusal:
    @pytest.mark.parametrize(
        "content, reason",
        [
            (b"", "empty: there is no text in it"),
            (b" \n\t\r\n", "empty: there is no text in it"),
            (b"\xef\xbb\xbf", "empty: there is no text in it"),
            (b"---\ntitle: T\n---\n\n", "empty: there is no text in it"),
            (b"abc\xff", "bad UTF-8: byte 0xff at offset 3"),
            ("中文".encode("gbk"), "bad UTF-8"),
            ("text".encode("utf-16"), "bad UTF-8: byte 0xff at offset 0"),
            (b"a" * (MAX_BYTES + 1), "too large: 1,048,577 bytes, at most 1,048,576 are taken"),
            (
                b"---\n[a: b\n---\nText",
                "bad front matter: expected ',' or ']', but got '<stream end>', line 3",
            ),
            (b"---\ntitle: 'a\n---\nText", "bad front matter: found unexpected end of stream"),
            (
                b"---\na: b: c\n---\nText",
                "bad front matter: mapping values are not allowed here, line 2",
            ),
            (b"---\n\ttitle: a\n---\nText", "bad front matter"),
            (b"---\na: !!python/object/apply:os.system [id]\n---\nText", "bad front matter"),
            (b"---\na: &a [*a]\nb: *c\n---\nText", "bad front matter"),
            (b"---\ndate: 2026-99-99\n---\nText", "bad front matter"),
            (b"---\na: " + b"[" * 5000 + b"\n---\nText", "bad front matter"),
            (
                b"---\na: " + b"[" * 5000 + b"]" * 5000 + b"\n---\nText",
                "bad front matter: nested too deeply",
            ),
            (b"---\ntitle: [a]\n---\nText", "bad front matter: title: "),
            (b"---\ntitle: 5\n---\nText", "bad front matter: title: "),
            (b"---\ntitle: ''\n---\nText", "bad front matter: title: "),
            (b"---\ntitle: " + b"a" * 201 + b"\n---\nText", "bad front matter: title: "),
            (b'---\ntitle: "\\uD800"\n---\nText', "bad front matter"),
            (b"---\nslug: ../a\n---\nText", "bad front matter: slug: "),
            (b"---\nslug: A B\n---\nText", "bad front matter: slug: "),
            (b"---\nslug: a_b\n---\nText", "bad front matter: slug: "),
            (b"---\nslug: " + b"a" * 121 + b"\n---\nText", "bad front matter: slug: "),
            (b"---\nsummary: " + b"a" * 501 + b"\n---\nText", "bad front matter: summary: "),
            (b"---\ntags: x\n---\nText", "bad front matter: tags: "),
            (b"---\ntags: [1]\n---\nText", "bad front matter: tags.0: "),
            (b"---\ntags: ['']\n---\nText", "bad front matter: tags.0: "),
            (b"---\ntags: [" + b"a" * 41 + b"]\n---\nText", "bad front matter: tags.0: "),
            (b"---\nlanguage: no\n---\nText", "bad front matter: language: "),
            (b"---\nlanguage: english language\n---\nText", "bad front matter: language: "),
            (b"---\ndate: soon\n---\nText", "bad front matter: date: "),
            (b"---\ndate: 0001-01-01T00:00:00+23:59\n---\nText", "bad front matter"),
        ],
        ids=lambda value: repr(value[:30]),
    )
    def test_says_why(self, write, run, content, reason):
        write("page.md", content)
        (outcome,) = run().values()
        assert outcome.startswith(reason)
        assert len(outcome) < 300

    def test_the_second_of_two_files_with_one_slug(self, write, run):
        write("a-b.md")
        write("a/b.md")
        assert run() == {
            "a/b.md": "created",
            "a-b.md": "duplicate slug: a-b is already taken by a/b.md",
        }

    def test_a_slug_of_the_front_matter_counts_too(self, write, run):
        write("a.md")
        write("b.md", "---\nslug: a\n---\nText")
        assert run()["b.md"].startswith("duplicate slug: a ")

    def test_a_slug_of_another_author(self, write, run, stored):
        write("page.md")
        run("ada")
        write("page.md", "Other")
        assert run("eve") == {"page.md": "duplicate slug: page belongs to an article by ada"}
        assert stored("page").author == "ada"

    def test_a_name_without_letters(self, write, run):
        write("---.md")
        assert run()["---.md"].startswith("no slug: ")

    def test_a_name_that_is_too_long(self, write, run):
        write("a" * 121 + ".md")
        assert next(iter(run().values())).startswith("no slug: ")

    def test_a_folder_of_broken_files_imports_the_good_one(self, write, run):
        for number, content in enumerate(
            [b"", b"\xff", b"---\na: [\n---\nx", b"a" * (MAX_BYTES + 1)]
        ):
            write(f"bad-{number}.md", content)
        write("good.md")
        outcomes = run()
        assert outcomes.pop("good.md") == "created"
        assert len(outcomes) == 4

    @pytest.mark.parametrize("tags", ["[a, 'a ']", "[a, A]", "[a, ä]", "[é, 'e\u0301']"])
    def test_tags_that_a_database_may_take_for_one_do_not_stop_the_import(self, write, run, tags):
        """Whatever becomes of the file, the next one is imported."""
        write("a.md", f"---\ntags: {tags}\n---\nText")
        write("b.md")
        assert run()["b.md"] == "created"

    def test_a_file_that_is_gone_is_refused(self, write, folder):
        gone = write("gone.md")
        (document,) = documents_in_folder(folder)
        gone.unlink()
        with pytest.raises(Refusal, match="cannot be read: No such file"):
            document.text()


class TestFrontMatter:
    def test_is_read(self, write, run, stored):
        write(
            "page.md",
            "---\ntitle: A title\nslug: named\nsummary: In short.\ntags: [b, a, b]\n"
            "language: fr\ndate: 2026-01-02T03:04:05+08:00\nunknown: kept out\n---\n# Other\n",
        )
        run()
        article = stored("named")
        assert (article.title, article.summary, article.language) == ("A title", "In short.", "fr")
        assert list(article.tags) == ["a", "b"]
        assert article.published_at == datetime(2026, 1, 1, 19, 4, 5, tzinfo=UTC)
        assert article.body == "# Other\n"

    def test_a_date_is_midnight_utc(self, write, run, stored):
        write("page.md", "---\ndate: 2026-01-02\n---\nText")
        run()
        assert stored("page").published_at == datetime(2026, 1, 2, tzinfo=UTC)

    @pytest.mark.parametrize(
        "text",
        [
            "---\n",
            "---\nText",
            "--- \nText\n---",
            "----\na: b\n---\n",
            " ---\na: b\n---\n",
            "Text\n---\na: b\n---\n",
            "---\nText only\n---\nMore",
            "---\n- a\n---\nMore",
        ],
    )
    def test_what_only_looks_like_it_is_text(self, text):
        assert split_front_matter(text)[1] == text

    def test_may_be_empty(self):
        facts, body = split_front_matter("---\n# nothing\n---\nText")
        assert facts.title is None
        assert "Text" in body

    def test_ends_at_the_end_of_the_file(self):
        assert split_front_matter("---\ntitle: T\n---")[1] == ""

    def test_a_rule_in_the_text_is_no_end(self):
        assert split_front_matter("---\ntitle: T\n---\na\n\n---\nb")[1] == "a\n\n---\nb"

    def test_an_alias_bomb_is_no_burden(self):
        lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
        lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
        facts, _ = split_front_matter("---\n" + "\n".join(lines) + "\n---\nText")
        assert facts.title is None


class TestLanguage:
    @pytest.mark.parametrize(
        "name, expected",
        [
            ("guide/logging.md", ("guide-logging", "en")),
            ("guide/logging.zh.md", ("guide-logging-zh", "zh")),
            ("zh/guide/logging.md", ("guide-logging-zh", "zh")),
            ("en/guide/logging.md", ("guide-logging", "en")),
            ("page.pt-BR.md", ("page-pt-br", "pt-BR")),
            ("pt-BR/page.md", ("page-pt-br", "pt-BR")),
            ("guide/zh/page.md", ("guide-zh-page", "en")),
            ("v1.2.md", ("v1-2", "en")),
            ("zh.md", ("zh", "en")),
            ("a/b/c/d.md", ("a-b-c-d", "en")),
            ("Über Uns.md", ("über-uns", "en")),
            ("中文.md", ("中文", "en")),
        ],
    )
    def test_is_found_by_folder_or_suffix(self, write, run, stored, name, expected):
        write(name)
        run()
        slug, language = expected
        assert stored(slug).language == language

    def test_the_front_matter_wins(self, write, run, stored):
        write("zh/page.md", "---\nlanguage: fr\n---\nText")
        run(language="de")
        assert stored("page-fr").language == "fr"

    def test_the_option_wins_over_the_name(self, write, run, stored):
        write("zh/page.md")
        run(language="de")
        assert stored("page-de").language == "de"

    def test_translations_live_side_by_side(self, write, run):
        for name in ("page.md", "page.zh.md", "fr/page.md"):
            write(name)
        assert set(run().values()) == {"created"}


@pytest.mark.parametrize("folder_name", ["go", "ui"])
def test_a_short_folder_that_is_no_language_is_part_of_the_name(write, run, stored, folder_name):
    write(f"{folder_name}/page.md")
    run()
    assert stored(f"{folder_name}-page").language == "en"
