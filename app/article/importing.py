"""Imports Markdown: what changed, and nothing else.

A file's slug is its path, unless its front matter names one. A language other than English is
appended to the slug, because translations of a page usually share its file name and a slug names
one article:

    guide/logging.md        guide-logging
    guide/logging.zh.md     guide-logging-zh
    zh/guide/logging.md     guide-logging-zh
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from app.article.content import Draft
from app.article.exceptions import SlugTaken
from app.article.model import SLUG_LENGTH, Article
from app.article.schema import Language, Slug, Summary, Tags, Title
from app.article.service import ArticleService
from app.article.source import Document, Refusal
from app.core.schema import utc
from app.util.text import slugify

DEFAULT_LANGUAGE = "en"
# What a folder or an inner suffix must be called to be taken for a language, perhaps
# with a region, as in `pt-BR`. Other names of two letters, such as `go` and `ui`, are just names.
_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv
dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie
ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv
mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm
rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts
tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""
_LANGUAGES = frozenset(_ISO_639_1.split())
_REGION = re.compile(r"(?:-[A-Z]{2})?")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


class Outcome(StrEnum):
    """What became of one file."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file, and for a refusal, why."""

    name: str
    outcome: Outcome
    reason: str = ""


@dataclass(slots=True)
class Report:
    """What became of all files."""

    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    refusals: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Count one file."""
        self.counts[result.outcome] += 1
        if result.outcome is Outcome.REFUSED:
            self.refusals.append(result)


def _to_instant(value: Any) -> Any:  # noqa: ANN401  whatever YAML made of it
    if isinstance(value, datetime):
        try:
            return utc(value)
        except OverflowError:
            raise ValueError("is outside of the years 1 to 9999") from None
    return datetime.combine(value, time.min, UTC) if isinstance(value, date) else value


class FrontMatter(BaseModel):
    """What a file may say about itself, between two lines of `---`. Other keys are left alone."""

    model_config = ConfigDict(extra="ignore")

    title: Title | None = None
    slug: Slug | None = None
    summary: Summary | None = None
    tags: Tags = []
    language: Language | None = None
    date: Annotated[datetime | None, BeforeValidator(_to_instant)] = None


class Importer:
    """Imports documents one by one, each in a transaction of its own.

    Args:
        articles: Where to write.
        author: Name of the account that the articles belong to.
        language: Language of files whose front matter names none; found by folder and file name
            when left out.
    """

    def __init__(
        self, articles: ArticleService, *, author: str, language: str | None = None
    ) -> None:
        self._articles = articles
        self._author = author
        self._language = language
        self._seen: dict[str, Document] = {}

    def run(self, documents: Iterable[Document]) -> Iterator[Result]:
        """Import the documents, yielding what became of each as soon as it is known."""
        for document in documents:
            try:
                yield Result(document.name, self._import(document))
            except Refusal as refusal:
                yield Result(document.name, Outcome.REFUSED, str(refusal))

    def _import(self, document: Document) -> Outcome:
        draft = self._draft(document)
        first = self._seen.setdefault(draft.slug, document)
        if first is not document:
            msg = f"duplicate slug: {draft.slug} is already taken by {first.name}"
            raise Refusal(msg)
        with self._articles.database.scope():
            return self._write(draft)

    def _write(self, draft: Draft) -> Outcome:
        self._articles.database.session.rollback()  # others may have written since the last one
        stored = self._articles.find_by_slug(draft.slug)
        if stored is not None and stored.author != self._author:
            msg = f"duplicate slug: {draft.slug} belongs to an article by {stored.author}"
            raise Refusal(msg)
        if stored is not None and not _differs(stored, draft):
            return Outcome.UNCHANGED
        try:
            self._articles.put(draft)
        except SlugTaken:
            msg = f"duplicate slug: {draft.slug} was taken at this moment by somebody else"
            raise Refusal(msg) from None
        return Outcome.UPDATED if stored is not None else Outcome.CREATED

    def _draft(self, document: Document) -> Draft:
        facts, body = split_front_matter(document.text())
        if not body.strip():
            msg = "empty: there is no text in it"
            raise Refusal(msg)
        parts, named = _name_parts(document.path)
        language = facts.language or self._language or named or DEFAULT_LANGUAGE
        return Draft(
            slug=facts.slug or _slug(parts, language),
            body=body,
            language=language,
            author=self._author,
            title=facts.title,
            summary=facts.summary,
            tags=tuple(facts.tags),
            published_at=facts.date,
        )


def split_front_matter(text: str) -> tuple[FrontMatter, str]:
    """Take the front matter, if there is any, off a text.

    Raises:
        Refusal: It is not YAML, or a value in it is wrong.
    """
    match = _FRONT_MATTER.match(text)
    if match is None:
        return FrontMatter(), text
    import yaml  # noqa: PLC0415  a start that imports nothing should not pay for it

    try:
        facts = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"bad front matter: {_yaml_problem(error)}"
        raise Refusal(msg) from None
    if not isinstance(facts, dict):
        # A text may well begin with a rule: without a mapping it is text.
        return FrontMatter(), text
    try:
        return FrontMatter.model_validate(facts), text[match.end() :]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        msg = f"bad front matter: {where}: {first['msg']}"
        raise Refusal(msg) from None


def _yaml_problem(error: Exception) -> str:
    """What is wrong, and in which line of the file; the first one is `---`."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark:
        return f"{problem}, line {mark.line + 2}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).splitlines()[0]


def _name_parts(path: PurePath) -> tuple[list[str], str | None]:
    """Split a path into the parts of its slug and the language that it names."""
    parts = list(path.with_suffix("").parts)
    stem, _, suffix = parts[-1].rpartition(".")
    if stem and _is_language(suffix):
        return [*parts[:-1], stem], suffix
    if len(parts) > 1 and _is_language(parts[0]):
        return parts[1:], parts[0]
    return parts, None


def _is_language(name: str) -> bool:
    return name[:2] in _LANGUAGES and _REGION.fullmatch(name[2:]) is not None


def _slug(parts: list[str], language: str) -> str:
    words = parts if language == DEFAULT_LANGUAGE else [*parts, language]
    slug = slugify("-".join(words))
    if not slug or len(slug) > SLUG_LENGTH:
        msg = f"no slug: the file's name gives {len(slug)} characters; name one in the front matter"
        raise Refusal(msg)
    return slug


def _differs(stored: Article, draft: Draft) -> bool:
    """Whether the file says anything else than what is stored; what it leaves out is no change."""
    return (
        stored.body != draft.body
        or stored.language != draft.language
        or draft.title not in {None, stored.title}
        or draft.summary not in {None, stored.summary}
        or draft.published_at not in {None, stored.published_at}
        or sorted(stored.tags) != sorted(draft.tags)
    )
