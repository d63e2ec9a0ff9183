"""Imports Markdown, if it has changed.

A file's slug is its path, unless its front matter names one. A language other than English is
appended to the slug, because translations of a page usually share its file name and a slug names
one article.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from app.article.content import Draft
from app.article.exceptions import SlugTaken
from app.article.front_matter import split_front_matter
from app.article.metadata import Metadata, read_metadata
from app.article.model import BODY_LENGTH, SLUG_LENGTH, Article
from app.article.naming import Named, read_path, slug_of
from app.article.schema import Body, Slug
from app.article.service import ArticleService
from app.article.source import Document, Refusal
from strongback.database import is_transient, utc_now
from strongback.log.setup import get_logger
from strongback.task import SoftTimeLimitExceeded

log = get_logger(__name__)

DEFAULT_LANGUAGE = "en"
NO_TEXT = "no text: a page that its generator fills"
FAILED = "failed: {error}: the log says more"
# With a layout of another name, or Hugo's file for a folder, a page without text is a list, an
# archive or a front page.
_PLAIN_LAYOUTS = ("post", "page")
_SECTION = "_index"
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)
_BODY: TypeAdapter[str] = TypeAdapter(Body)


class Outcome(StrEnum):
    """Outcome of one file."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Result:
    """Outcome of one file, with the reason of a refusal."""

    name: str
    outcome: Outcome
    reason: str = ""


@dataclass(slots=True)
class Report:
    """Outcome of all files."""

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    refusals: list[Result] = field(default_factory=list)
    skipped: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one file."""
        self.counts[result.outcome] += 1
        if result.outcome is Outcome.REFUSED:
            self.refusals.append(result)
        elif result.outcome is Outcome.SKIPPED:
            self.skipped.append(result)


class _Skipped(Exception):
    """A file that is no article, and need not be one."""


class Importer:
    """Imports documents one by one, each in a transaction of its own.

    Args:
        articles: Writes the articles.
        author: Username of the author.
        language: Language of files without one in their front matter. Default: from folder and
            file name.
        has_folder_tags: Whether files without tags get the name of their folder as one.
        require_right: Called before each document; raises to stop the import.
        translate: Translates a reason.
    """

    def __init__(  # noqa: PLR0913  options of an import, most with defaults
        self,
        articles: ArticleService,
        *,
        author: str,
        language: str | None = None,
        has_folder_tags: bool = False,
        require_right: Callable[[], object] = lambda: None,
        translate: Callable[[str], str] = str,
    ) -> None:
        self._articles = articles
        self._author = author
        self._language = language
        self._has_folder_tags = has_folder_tags
        self._require_right = require_right
        self._translate = translate
        self._seen: dict[str, Document] = {}

    def run(self, documents: Iterable[Document]) -> Iterator[Result]:
        """Import the documents, yielding the outcome of each.

        An invalid document does not stop the import.

        Raises:
            sqlalchemy.exc.DBAPIError: The database is unavailable.
        """
        for document in documents:
            with self._articles.database.scope():
                self._articles.database.session.rollback()  # others may have written meanwhile
                self._require_right()
                result = self._result(document)
            yield result

    def _result(self, document: Document) -> Result:
        if document.skipped:
            return Result(document.name, Outcome.SKIPPED, self._translate(document.skipped))
        try:
            return Result(document.name, self._import(document))
        except _Skipped:
            return Result(document.name, Outcome.SKIPPED, self._translate(NO_TEXT))
        except Refusal as refusal:
            reason = self._translate(refusal.message).format(**refusal.params)
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            if is_transient(error):
                self._articles.database.ping()  # it may be gone, which is no document's fault
            log.exception("import_failed", file=document.name)
            reason = self._translate(FAILED).format(error=type(error).__name__)
        return Result(document.name, Outcome.REFUSED, reason)

    def _import(self, document: Document) -> Outcome:
        draft = self._draft(document)
        stored = self._articles.find_by_slug(draft.slug)
        if stored is not None and stored.author != self._author:
            raise _taken(draft.slug)
        if stored is not None and not _differs(stored, draft):
            return Outcome.UNCHANGED
        try:
            self._articles.put(draft)
        except SlugTaken:
            raise _taken(draft.slug) from None
        return Outcome.UPDATED if stored is not None else Outcome.CREATED

    def _draft(self, document: Document) -> Draft:
        facts, body = split_front_matter(document.text())
        metadata, named = read_metadata(facts), read_path(document.path)
        _require_text(body, metadata, document)
        language = (
            metadata.language
            or metadata.lang
            or self._language
            or named.language
            or DEFAULT_LANGUAGE
        )
        return Draft(
            slug=self._slug(document, metadata, named, language),
            body=body,
            language=language,
            author=self._author,
            title=metadata.title,
            summary=metadata.summary or metadata.description,
            tags=tuple(metadata.tags) or self._folder_tags(named),
            published=False if named.is_draft else metadata.is_published(utc_now()),
            published_at=metadata.published_at() or _midnight(named),
        )

    def _folder_tags(self, named: Named) -> tuple[str, ...]:
        return named.words[-2:-1] if self._has_folder_tags else ()

    def _slug(self, document: Document, metadata: Metadata, named: Named, language: str) -> str:
        if metadata.slug is not None:
            return self._claim(metadata.slug, document)
        slug = _path_slug(named.words, language)
        if slug in self._seen and named.full_words != named.words:
            slug = _path_slug(named.full_words, language)
        return self._claim(slug, document)

    def _claim(self, slug: str, document: Document) -> str:
        first = self._seen.setdefault(slug, document)
        if first is not document:
            raise Refusal(
                "duplicate slug: {slug} is already taken by {name}: write another slug in the front"
                " matter",
                slug=slug,
                name=first.name,
            )
        return slug


def _taken(slug: str) -> Refusal:
    return Refusal(
        "duplicate slug: {slug} is taken: write another slug in the front matter", slug=slug
    )


def _require_text(body: str, metadata: Metadata, document: Document) -> None:
    if not body.strip():
        is_filled = document.path.stem.partition(".")[0] == _SECTION
        layouts = {str(each).lower() for each in (metadata.layout, metadata.type) if each}
        if is_filled or layouts.difference(_PLAIN_LAYOUTS):
            raise _Skipped
        raise Refusal("empty: there is no text in it: write some, or leave the file out")
    if len(body) > BODY_LENGTH:
        raise Refusal(
            "too long: {count:,} characters of text, at most {most:,} are taken: divide it",
            count=len(body),
            most=BODY_LENGTH,
        )
    try:
        _BODY.validate_python(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise Refusal("bad text: {problem}", problem=problem) from None


def _midnight(named: Named) -> datetime | None:
    return datetime.combine(named.date, time.min, UTC) if named.date else None


def _path_slug(words: tuple[str, ...], language: str) -> str:
    *folders, name = words
    name = name if language == DEFAULT_LANGUAGE else f"{name}-{language}"
    slug = slug_of(folders, name, SLUG_LENGTH)
    try:
        return _SLUG.validate_python(slug)
    except ValidationError:
        raise Refusal(
            "no slug: the file's name gives none of 1 to {most} characters: write a slug in the"
            " front matter",
            most=SLUG_LENGTH,
        ) from None


def _differs(stored: Article, draft: Draft) -> bool:
    """Whether the file differs from the stored article; omitted fields do not count."""
    return (
        stored.body != draft.body
        or stored.language != draft.language
        or draft.title not in {None, stored.title}
        or draft.summary not in {None, stored.summary}
        or draft.is_published_otherwise(stored.published_at)
        or sorted(stored.tags) != sorted(draft.tags)
    )
