"""What is searched, and what is searched for."""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from app.article.markdown import render
from strongback.text import plain_text, shorten

Document = dict[str, Any]

QUERIES = Path(__file__).with_name("queries.toml")
LISTS = ("developed", "unseen")
"""The engine was developed with the first in view, the second was written afterwards."""
MIN_TYPO = 5
"""Letters of a word that may have a typo."""
SUMMARY = 160
"""Characters of a summary."""
_LATIN = re.compile(r"[A-Za-z]+")
_HAN = re.compile(r"[\u4e00-\u9fff]{2,4}")
_WORD = re.compile(r"[A-Za-z]{3,14}")
_START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Expected:
    """A query, and the document that it is meant to find."""

    text: str
    document: str
    language: str


def read_articles(folder: Path) -> list[Document]:
    """Markdown files, from a folder for each language (`en/`, `zh/`) or by suffix (`x.zh.md`)."""
    documents = [_read(folder, path) for path in sorted(folder.rglob("*.md"))]
    return [document | {"id": number} for number, document in enumerate(documents)]


def _read(folder: Path, path: Path) -> Document:
    place = path.relative_to(folder).with_suffix("")
    if len(place.parts) > 1 and len(place.parts[0]) == 2:
        language, *parts = place.parts
        name = "/".join(parts)
    else:
        name, _, suffix = str(place).partition(".")
        language = suffix or "en"
    rendered = render(path.read_text())
    title = rendered.title or name
    return _document(
        f"{language}/{name}", title, rendered.summary, plain_text(rendered.html), language
    )


def _document(slug: str, title: str, summary: str, body: str, language: str) -> Document:
    return {
        "slug": slug,
        "title": title,
        "tags": [],
        "summary": shorten(summary, SUMMARY),
        "body": body,
        "language": language,
        "author": "benchmark",
        "published_at": _START,
        "updated_at": _START,
        "version": 1,
    }


def read_queries(documents: list[Document], name: str) -> list[Expected]:
    """A list, as far as its documents are there; of other folders than ours, their titles."""
    known = {document["slug"] for document in documents}
    declared = tomllib.loads(QUERIES.read_text())[name]
    queries = [
        Expected(query["q"], f"{language}/{query['file']}", language)
        for language in ("en", "zh")
        for query in declared[language]["queries"]
    ]
    if found := [query for query in queries if query.document in known]:
        return found
    return [Expected(one["title"], one["slug"], one["language"]) for one in documents]


def short_words(documents: list[Document]) -> list[str]:
    """The words of two characters that stand in some document."""
    words = tomllib.loads(QUERIES.read_text())["two"]["words"]
    return [word for word in words if any(word in document["body"] for document in documents)]


def with_typos(text: str) -> list[str]:
    """The text with a typo in its longest word: a letter missing, swapped, wrong, doubled."""
    words = [word for word in _LATIN.findall(text) if len(word) >= MIN_TYPO]
    if not words:
        return []
    word = max(words, key=len)
    at = len(word) // 2
    here, after = word[at], word[at + 1 :]
    other = "x" if here != "x" else "z"
    swapped = word[:at] + after[:1] + here + after[1:]
    wrong = [word[:at] + after, swapped, word[:at] + other + after, word[: at + 1] + here + after]
    return [text.replace(word, one) for one in dict.fromkeys(wrong) if one != word]


def generate(count: int, seed: int = 7) -> list[Document]:
    """Articles of random words, half of them English and half Chinese, as often as in life.

    The words are those of the project's documentation, and endings added to them so that there
    are some 20,000; each is as frequent as Zipf's law has it.
    """
    chance = random.Random(seed)
    vocabularies = [_vocabulary("*.md", _WORD, " "), _vocabulary("*.zh.md", _HAN, "")]
    return [_article(number, chance, *vocabularies[number % 2]) for number in range(count)]


Vocabulary = tuple[list[str], list[float], str]


def _vocabulary(pattern: str, form: re.Pattern[str], space: str) -> Vocabulary:
    docs = Path(__file__).resolve().parents[2] / "docs"
    text = " ".join(path.read_text() for path in sorted(docs.rglob(pattern)))
    stems = sorted(set(form.findall(text)), key=lambda word: (len(word), word))
    endings = ["", "a", "or", "ex", "ium", "ette"] if space else ["", "器", "法", "度", "性"]
    words = [stem + ending for ending in endings for stem in stems][:20_000]
    chances = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    return words, chances, space


def _article(
    number: int, chance: random.Random, words: list[str], chances: list[float], space: str
) -> Document:
    def draw(count: int) -> str:
        return space.join(chance.choices(words, cum_weights=chances, k=count))

    # A title has words that are less common than those of a text.
    title = space.join(chance.choices(words, k=chance.randint(3, 7))).capitalize()
    paragraphs = [draw(chance.randint(8, 30)) for _ in range(5)]
    body = ("\n\n" if space else "。\n\n").join(paragraphs)
    language = "en" if space else "zh"
    document = _document(f"generated-{number}", title, paragraphs[0], body, language)
    return document | {
        "id": number,
        "tags": chance.sample(["async", "sql", "http", "cache", "search", "auth", "test"], 2),
        "published_at": _START + timedelta(minutes=number),
    }
