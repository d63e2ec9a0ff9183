"""What is searched, and what is searched for."""

from __future__ import annotations

import random
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
_SENTENCE = re.compile(r"[^\n.!?。！？]+[\n.!?。！？]*")
_COMMON = re.compile(r"[a-z]{4,}|[\u4e00-\u9fff]{2}")
_TAGS = ("async", "sql", "http", "cache", "search", "auth", "test")
_START = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Expected:
    """A query, and the document that it is meant to find."""

    text: str
    document: str
    language: str


@dataclass(frozen=True, slots=True)
class Articles:
    """What a folder of Markdown has."""

    documents: list[Document]
    bytes: int
    """What a database keeps of them: Markdown and HTML."""


def read_articles(folder: Path) -> Articles:
    """Markdown files, from a folder for each language (`en/`, `zh/`) or by suffix (`x.zh.md`)."""
    read = [_read(folder, path) for path in sorted(folder.rglob("*.md"))]
    documents = [document | {"id": number} for number, (document, _) in enumerate(read)]
    return Articles(documents, sum(size for _, size in read))


def _read(folder: Path, path: Path) -> tuple[Document, int]:
    place = path.relative_to(folder).with_suffix("")
    if len(place.parts) > 1 and len(place.parts[0]) == 2:
        language, *parts = place.parts
        name = "/".join(parts)
    else:
        name, _, suffix = str(place).partition(".")
        language = suffix or "en"
    text = path.read_text()
    rendered = render(text)
    document = {
        "slug": f"{language}/{name}",
        "title": rendered.title or name,
        "tags": [],
        "summary": shorten(rendered.summary, SUMMARY),
        "body": plain_text(rendered.html),
        "language": language,
        "author": "benchmark",
        "published_at": _START,
        "updated_at": _START,
        "version": 1,
    }
    return document, len(text.encode()) + len(rendered.html.encode())


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


def vary(documents: list[Document], count: int, seed: int = 7) -> Iterator[Document]:
    """Many articles as long as these: sentences in another order, some of others, and new words.

    New words are what makes a vocabulary grow: each article has five names of its own.
    """
    chance = random.Random(seed)
    sentences = [_SENTENCE.findall(document["body"]) for document in documents]
    for number in range(count):
        at = number % len(documents)
        own, others = sentences[at], chance.choice(sentences)
        cut, start = chance.randrange(len(own) + 1), chance.randrange(len(others) + 1)
        some = others[start : start + len(others) // 10 + 1]
        names = [_name(chance) for _ in range(5)]
        yield documents[at] | {
            "id": number,
            "slug": f"varied-{number}",
            "title": f"{documents[at]['title']} {names[0]}",
            "tags": chance.sample(_TAGS, 2),
            "body": "".join([*own[cut:], *own[:cut], *some]) + " ".join(names),
            "published_at": _START + timedelta(minutes=number),
        }


def _name(chance: random.Random) -> str:
    return "".join(
        chance.choice("bcdfghklmnprstvw") + chance.choice("aeiou")
        for _ in range(chance.randint(2, 4))
    )


def common_words(documents: list[Document], count: int) -> list[str]:
    """The words that most documents have."""
    found: Counter[str] = Counter()
    for document in documents:
        found.update(set(_COMMON.findall(document["body"].lower())))
    return [word for word, _ in found.most_common(count)]
