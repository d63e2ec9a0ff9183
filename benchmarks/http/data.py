"""What every competitor serves: plain Python objects, none of a framework's own types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 5, 8, 30, 15, 123456, tzinfo=UTC)
SUMMARY = (
    "A backend that starts with one command on a laptop and grows to many machines by settings"
    " alone; the text of this summary is as long as people write them when a form asks for two"
    " sentences, so that the entry as a whole comes to about six hundred bytes."
)


@dataclass(slots=True)
class Small:
    """A small, fixed answer."""

    id: int
    name: str
    active: bool
    score: float


@dataclass(slots=True)
class Article:
    """An entry of the list, with the fields of the reference application's own."""

    id: int
    slug: str
    title: str
    summary: str
    tags: list[str]
    language: str
    author: str
    version: int
    likes: int
    comments: int
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(slots=True)
class Listing:
    """A page of articles."""

    items: list[Article]
    page: int
    page_size: int
    total: int


SMALL = Small(7, "Strongback", active=True, score=4.5)
ARTICLES = [
    Article(
        id=1000 + number,
        slug=f"getting-started-with-part-{number}",
        title=f"Getting started with part {number}",
        summary=SUMMARY,
        tags=["flask", "guide", f"part-{number}"],
        language="en",
        author="margarethamilton",
        version=number + 1,
        likes=number * 3,
        comments=number * 2,
        published_at=START + timedelta(hours=number),
        created_at=START,
        updated_at=START + timedelta(days=number),
    )
    for number in range(50)
]
LISTING = Listing(ARTICLES, page=1, page_size=50, total=50)
