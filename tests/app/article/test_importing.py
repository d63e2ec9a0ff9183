from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.article.importing import FAILED, NO_TEXT, Importer, Outcome, Report, Result
from app.article.metadata import REMEDIES
from app.article.model import BODY_LENGTH
from app.article.schema import ArticleOut
from app.article.service import ArticleService
from app.article.source import (
    HIDDEN,
    INSTALLED,
    MAX_BYTES,
    Document,
    Refusal,
    documents_in_folder,
)
from app.article.zip_source import documents_in_zip
from app.core.config import ROOT
from strongback.database import Database
from strongback.exceptions import Forbidden
from strongback.task import SoftTimeLimitExceeded
from tests.support.catalogue import catalogue

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
        archive.writestr("LICENSE", "")  # without it a single folder would be one that wraps all
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


@pytest.mark.speaks_sql
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


@pytest.mark.speaks_sql
class TestText:
    def test_is_kept_to_the_byte(self, write, run, stored):
        texts = ["a\n", "a\r\nb\r\n", "a\rb", "  a  \n\n\n", "\ta", "a\x00b", "a\u2028b", "e\u0301"]
        texts += ["中文 😀 \u200b", "\\ ' \" % ` ;--"]
        for number, body in enumerate(texts):
            write(f"{number}.md", body)
        assert set(run().values()) == {"created"}
        assert [stored(str(number)).body for number in range(len(texts))] == texts

    def test_behind_front_matter_is_kept_to_the_byte(self, write, run, stored):
        write("page.md", b"---\r\ntitle: T\r\n---\r\n\r\n  Text\r\n")
        run()
        assert (stored("page").title, stored("page").body) == ("T", "\r\n  Text\r\n")

    def test_a_byte_order_mark_is_not_text(self, write, run, stored):
        write("page.md", b"\xef\xbb\xbf---\ntitle: T\n---\nText")
        run()
        assert (stored("page").title, stored("page").body) == ("T", "Text")

    def test_the_longest_text_is_imported(self, write, run, stored):
        write("page.md", "ü" * BODY_LENGTH)
        assert run() == {"page.md": "created"}
        assert len(stored("page").body) == BODY_LENGTH

    def test_is_not_longer_than_one_that_is_sent(self, write, run):
        write("page.md", "a" * (BODY_LENGTH + 1))
        assert run() == {
            "page.md": "too long: 100,001 characters of text, at most 100,000 are taken: divide it"
        }


REFUSED = [
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
        "bad front matter: a quote, [ or { that is not closed, line 2",
    ),
    (
        b"---\ntitle: 'a\n---\nText",
        "bad front matter: a quote, [ or { that is not closed, line 2",
    ),
    (b"---\na: b: c\n---\nText", "bad front matter: a second colon, line 2"),
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
    (b"---\ntitle: " + b"a" * 201 + b"\n---\nText", "bad front matter: title: "),
    (b'---\ntitle: "\\uD800"\n---\nText', "bad front matter"),
    (b"---\nslug: ../a\n---\nText", "bad front matter: slug: "),
    (b"---\nslug: A B\n---\nText", "bad front matter: slug: "),
    (b"---\nslug: " + b"a" * 121 + b"\n---\nText", "bad front matter: slug: "),
    (b"---\nsummary: " + b"a" * 501 + b"\n---\nText", "bad front matter: summary: "),
    (b"---\ntags: [" + b"a" * 41 + b"]\n---\nText", "bad front matter: tags.0: "),
    (b"---\nlanguage: english language\n---\nText", "bad front matter: language: "),
    (b"---\nlanguage: '1'\n---\nText", "bad front matter: language: "),
    (b"---\ntags: {a: b}\n---\nText", "bad front matter: tags: "),
    (b"---\ndate: soon\n---\nText", "bad front matter: date: "),
    (b"---\ndate: 0001-01-01T00:00:00+23:59\n---\nText", "bad front matter"),
]


class TestRefusal:
    def test_says_why(self, write, run):
        for number, (content, _) in enumerate(REFUSED):
            write(f"{number}.md", content)
        outcomes = run()
        for number, (content, reason) in enumerate(REFUSED):
            outcome = outcomes[f"{number}.md"]
            assert outcome.startswith(reason), content[:30]
            assert len(outcome) < 300, content[:30]

    def test_the_second_of_two_files_with_one_slug(self, write, run):
        write("a-b.md")
        write("a/b.md")
        assert run() == {
            "a/b.md": "created",
            "a-b.md": "duplicate slug: a-b is already taken by a/b.md: write another slug in the"
            " front matter",
        }

    def test_a_slug_of_the_front_matter_counts_too(self, write, run):
        write("a.md")
        write("b.md", "---\nslug: a\n---\nText")
        assert run()["b.md"].startswith("duplicate slug: a ")

    @pytest.mark.parametrize("switch", ["draft: true", "draft: false"])
    def test_a_slug_of_another_author_whom_it_does_not_name(self, write, run, stored, switch):
        write("page.md", f"---\n{switch}\n---\nText")
        run("ada")
        write("page.md", "Other")
        assert run("eve") == {
            "page.md": "duplicate slug: page is taken: write another slug in the front matter"
        }
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
    @pytest.mark.speaks_sql
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


class TestPublication:
    @pytest.mark.parametrize("switch", ["draft: true", "published: false", "publish: no"])
    def test_a_draft_stays_a_draft(self, write, run, stored, switch):
        write("page.md", f"---\n{switch}\ndate: 2026-01-02\n---\nText")
        assert run() == {"page.md": "created"}
        assert run() == {"page.md": "unchanged"}
        assert stored("page").published_at is None

    def test_a_file_below_drafts_is_a_draft_whatever_it_says(self, write, run, stored):
        write("_drafts/page.md", "---\ndraft: false\ndate: 2026-01-02\n---\nText")
        run()
        assert stored("page").published_at is None

    def test_what_hugo_shows_no_longer_is_a_draft(self, write, run, stored):
        write("page.md", "---\ndate: 2020-01-02\nexpiryDate: 2021-01-01\n---\nText")
        run()
        assert stored("page").published_at is None

    def test_a_draft_comes_out_at_its_date_once_the_switch_is_gone(self, write, run, stored):
        write("page.md", "---\ndraft: true\ndate: 2026-01-02\n---\nText")
        run()
        write("page.md", "---\ndate: 2026-01-02\n---\nText")
        assert run() == {"page.md": "updated"}
        assert stored("page").published_at == datetime(2026, 1, 2, tzinfo=UTC)

    def test_a_draft_without_a_date_comes_out_once_the_file_says_so(self, write, run, stored):
        write("page.md", "---\ndraft: true\n---\nText")
        run()
        write("page.md", "---\ndraft: false\n---\nText")
        assert run() == {"page.md": "updated"}
        assert run() == {"page.md": "unchanged"}
        assert stored("page").published_at is not None

    def test_an_article_becomes_a_draft_once_the_file_says_so(self, write, run, stored):
        write("page.md", "Text")
        run()
        write("page.md", "---\ndraft: true\n---\nText")
        assert run() == {"page.md": "updated"}
        assert stored("page").published_at is None

    def test_a_moment_ahead_is_kept(self, write, run, stored):
        write("page.md", "---\ndraft: false\ndate: 9998-12-31 23:59:59\n---\nText")
        run()
        assert run() == {"page.md": "unchanged"}
        assert stored("page").published_at == datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)

    def test_the_date_of_the_name_counts_where_there_is_no_other(self, write, run, stored):
        write("_posts/2015-07-05-old-post.md")
        write("_posts/2015-07-05-moved.md", "---\ndate: 2016-01-01\n---\nText")
        run()
        assert stored("old-post").published_at == datetime(2015, 7, 5, tzinfo=UTC)
        assert stored("moved").published_at == datetime(2016, 1, 1, tzinfo=UTC)


class TestSlug:
    def test_a_second_post_of_one_name_keeps_its_date(self, write, run):
        write("_posts/2014-01-01-weekly.md")
        write("_posts/2015-01-01-weekly.md")
        assert set(run().values()) == {"created"}
        assert set(run().values()) == {"unchanged"}

    def test_a_page_beside_the_folder_of_its_name_leaves_it_the_index(self, write, run, stored):
        write("guide/index.md", "---\ntitle: Bundle\n---\nText")
        write("guide.md", "---\nslug: guide-index\n---\nText")
        assert set(run().values()) == {"created"}
        assert stored("guide").title == "Bundle"

    def test_a_path_that_is_too_long_loses_its_first_folders(self, write, run, stored):
        folder = "/".join(["a" * 50] * 2)
        write(f"{folder}/{'b' * 60}.md")
        assert set(run().values()) == {"created"}
        assert stored(f"{'a' * 50}-{'b' * 60}").language == "en"


class TestSkipped:
    @pytest.mark.parametrize(
        "name",
        [".obsidian/x.md", ".trash/a/x.md", ".git/x.md", "a/.x.md", "node_modules/x/README.md"],
    )
    def test_hidden_and_installed_files_are_not_imported(self, write, run, name):
        write(name)
        write("page.md")
        outcomes = run()
        assert outcomes.pop("page.md") == "created"
        assert list(outcomes) == [name]
        assert outcomes[name].startswith("in ")

    @pytest.mark.parametrize(
        "name, keys",
        [("index.md", "layout: home"), ("tags.md", "type: tags"), ("a/_index.md", "a: b")],
    )
    def test_a_page_that_its_generator_fills_is_not_imported(self, write, run, name, keys):
        write(name, f"---\ntitle: T\n{keys}\n---\n")
        assert run() == {name: "no text: a page that its generator fills"}

    def test_a_page_with_a_layout_and_a_text_is_imported(self, write, run):
        write("index.md", "---\nlayout: home\n---\nText")
        assert run() == {"index.md": "created"}

    def test_a_report_lists_them(self):
        report = Report()
        report.add(Result("a.md", Outcome.SKIPPED, "hidden"))
        assert (report.counts[Outcome.SKIPPED], report.refusals) == (1, [])
        assert [each.name for each in report.skipped] == ["a.md"]


@pytest.mark.speaks_sql
class TestFailure:
    """Whatever is wrong with a document, the others are imported."""

    def failing(self, app: Any, error: Exception) -> list[Result]:
        def fail() -> bytes:
            raise error

        documents = [
            Document("a.md", PurePath("a.md"), lambda: b"Text"),
            Document("b.md", PurePath("b.md"), fail),
            Document("c.md", PurePath("c.md"), lambda: b"Text"),
        ]
        importer = Importer(app.services[ArticleService], author="ada")
        return list(importer.run(documents))

    @pytest.mark.parametrize(
        "error",
        [RuntimeError("x"), KeyError("x"), MemoryError(), RecursionError(), AssertionError()],
        ids=repr,
    )
    def test_is_named_and_logged_once_with_its_traceback(self, app, library, logs, error):
        library.ensure_user("ada")
        results = self.failing(app, error)
        kind = type(error).__name__
        assert [result.outcome for result in results] == ["created", "refused", "created"]
        assert results[1].reason == f"failed: {kind}: the log says more"
        (entry,) = logs.named("import_failed")
        assert entry["file"] == "b.md"
        assert kind in str(entry["exception"])

    def test_of_the_database_ends_the_import_only_where_the_database_is_gone(
        self, app, library, logs
    ):
        library.ensure_user("ada")
        lost = OperationalError("SELECT 1", {}, Exception(2013, "lost"))
        assert [each.outcome for each in self.failing(app, lost)] == [
            "created",
            "refused",
            "created",
        ]

    def test_a_deadline_is_no_failure_of_a_document(self, app, library):
        library.ensure_user("ada")
        with pytest.raises(SoftTimeLimitExceeded):
            self.failing(app, SoftTimeLimitExceeded())

    def test_while_it_is_stored_is_no_end_either(self, app, library, statements):
        """A heading that the database cannot store must not be found out by the next file."""
        library.ensure_user("ada")
        connection = app.services[Database].engine
        trigger = "CREATE TRIGGER no_bad BEFORE INSERT ON article FOR EACH ROW " + (
            "WHEN NEW.slug = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END"
            if connection.dialect.name == "sqlite"
            else "BEGIN IF NEW.slug = 'bad' THEN SIGNAL SQLSTATE '45000'"
            " SET MESSAGE_TEXT = 'no'; END IF; END"
        )
        with connection.begin() as opened:
            opened.execute(text(trigger))
        try:
            documents = [
                Document(f"{name}.md", PurePath(f"{name}.md"), lambda: b"Text")
                for name in ("a", "bad", "c")
            ]
            importer = Importer(app.services[ArticleService], author="ada")
            outcomes = [each.outcome for each in importer.run(documents)]
        finally:
            with connection.begin() as opened:
                opened.execute(text("DROP TRIGGER no_bad"))
        assert outcomes == ["created", "refused", "created"]

    def test_a_reason_is_in_the_readers_language(self, app, library):
        library.ensure_user("ada")
        importer = Importer(
            app.services[ArticleService],
            author="ada",
            translate=lambda message: app.translations.translate(message, "zh"),
        )
        (result,) = importer.run([Document("a.md", PurePath("a.md"), lambda: b"\xff")])
        assert result.reason == "不是 UTF-8：第 0 字节为 0xff：请另存为 UTF-8，或指明其编码"


def test_asks_for_the_right_before_each_document(app, library):
    library.ensure_user("ada")
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)
        if len(asked) > 2:
            raise Forbidden

    documents = [
        Document(name, PurePath(name), lambda: b"Text") for name in ("a.md", "b.md", "c.md", "d.md")
    ]
    importer = Importer(app.services[ArticleService], author="ada", require_right=ask)
    run = importer.run(documents)
    assert [next(run).outcome, next(run).outcome] == ["created", "created"]
    with pytest.raises(Forbidden):
        next(run)


def test_every_reason_why_a_file_is_not_imported_has_a_translation():
    reasons = {*REMEDIES.values(), HIDDEN, INSTALLED, NO_TEXT, FAILED}
    assert set() == reasons - catalogue(ROOT / "app/article/translation", "zh").keys()


def test_a_file_without_tags_may_get_the_name_of_its_folder(app, library, folder, write, stored):
    library.ensure_user("ada")
    write("guide/cache.zh.md")
    write("tour.md")
    write("guide/tagged.md", "---\ntags: [own]\n---\nText.\n")
    importer = Importer(app.services[ArticleService], author="ada", has_folder_tags=True)
    assert [*importer.run(documents_in_folder(folder))]
    found = {slug: stored(slug).tags for slug in ("guide-cache-zh", "tour", "guide-tagged")}
    assert found == {"guide-cache-zh": ["guide"], "tour": [], "guide-tagged": ["own"]}
