from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from app.article.index import ARTICLE
from app.core.config import Settings
from strongback.search import Search
from strongback.web import init_limits
from tests.app.article_library import ArticleLibrary
from tests.support.api import API
from tests.support.kept import Kept


@pytest.fixture
def shelf(kept: Kept, settings: Settings, database_url: str) -> API:
    """The application with a few articles, indexed, which these tests read only."""
    api = kept.get(with_articles, settings, database_url)
    init_limits(api.app, settings, None)
    return api


def with_articles(settings: Settings) -> API:
    api = API(settings)
    api.reset()
    library = ArticleLibrary(api.app)
    articles = [
        ("async-guide", "# Async guide\n\nWriting async code.", "en", ("async", "python"), 2),
        ("sql-guide", "# SQL guide\n\nAsk a database with <b>joins</b>.", "en", ("sql",), 3),
        ("yibu", "# 异步编程指南\n\n用 async 写中文文档。", "zh", ("async",), 4),
        ("shujuku", "# 数据库\n\n关于数据库的书。", "zh", ("sql",), 5),
    ]
    for slug, body, language, tags, month in articles:
        moment = datetime(2026, month, 1, tzinfo=UTC)
        library.add_article(slug, body, language=language, tags=tags, published_at=moment)
    search: Search = api.app.services[Search]
    search.reindex(ARTICLE.name)
    return api


def get(api: API, path: str = "", /, **query: Any) -> Any:
    address = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    return api.call("GET", f"/search{path}?{address}")


def slugs(api: API, **query: Any) -> list[str]:
    answer = get(api, **query)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return [item["slug"] for item in answer.json["items"]]


class TestSearch:
    def test_answers_one_shape(self, shelf):
        answer = get(shelf, q="async guide").json
        assert set(answer) == {"items", "page", "page_size", "total", "took_ms", "facets"}
        assert (answer["page"], answer["page_size"], answer["total"]) == (1, 20, 1)
        item = answer["items"][0]
        assert (item["slug"], item["author"]) == ("async-guide", "ada")
        assert item["tags"] == ["async", "python"]
        assert item["published_at"] == "2026-02-01T00:00:00Z"
        assert "body" not in item
        assert item["highlight"]["title"] == "<mark>Async</mark> <mark>guide</mark>"

    @pytest.mark.parametrize(
        "typed, slug",
        [
            ("async guide", "async-guide"),
            ("databxse joins", "sql-guide"),
            ("数据库", "shujuku"),
            ("异步", "yibu"),
            ("书", "shujuku"),
            ("指南 async", "yibu"),
        ],
    )
    def test_finds_the_right_article_first(self, shelf, typed, slug):
        assert slugs(shelf, q=typed)[0] == slug

    def test_finds_everything_without_words_newest_first(self, shelf):
        assert slugs(shelf) == ["shujuku", "yibu", "sql-guide", "async-guide"]

    def test_filters(self, shelf):
        wanted = "language = zh AND tag IN [async, sql] AND published_at > 2026-04-15"
        assert slugs(shelf, filter=wanted) == ["shujuku"]

    def test_sorts(self, shelf):
        assert slugs(shelf, q="guide", sort="published_at") == ["async-guide", "sql-guide"]
        assert slugs(shelf, q="guide", sort="-published_at") == ["sql-guide", "async-guide"]

    def test_counts_tags_and_languages_over_all_pages(self, shelf):
        answer = get(shelf, page_size=1, filter="tag = async").json
        assert answer["facets"] == {
            "tag": {"async": 2, "python": 1},
            "language": {"en": 1, "zh": 1},
        }

    def test_pages(self, shelf):
        assert slugs(shelf, page=2, page_size=3) == ["async-guide"]
        assert slugs(shelf, page=3, page_size=3) == []

    @pytest.mark.parametrize(
        "highlight, names",
        [
            ("true", {"title", "summary", "tags", "body"}),
            ("1", {"title", "summary", "tags", "body"}),
            ("title,body", {"title", "body"}),
            ("title", {"title"}),
            ("false", set()),
            ("", set()),
        ],
    )
    def test_highlights_what_is_asked_for(self, shelf, highlight, names):
        item = get(shelf, q="joins", highlight=highlight).json["items"][0]
        assert set(item["highlight"]) == names

    def test_a_bad_filter_points_at_the_place_in_both_languages(self, shelf):
        answer = get(shelf, filter="language = zh AND tag =")
        assert (answer.status_code, answer.json["error_code"]) == (422, 13002)
        assert answer.json["message"] == "Filter, character 24: a value is expected here."
        assert answer.json["pointer"].splitlines()[1] == " " * 23 + "^"
        assert answer.json["position"] == 24
        [field] = answer.json["errors"]
        assert field == {
            "field": "query.filter",
            "message": answer.json["message"],
            "type": "filter",
        }
        chinese = shelf.call(
            "GET", "/search?filter=language", headers={"Accept-Language": "zh"}
        ).json
        assert chinese["message"].startswith("过滤条件第 9 个字符")

    @pytest.mark.parametrize(
        "query",
        [
            {"sort": "title"},
            {"highlight": "author"},
            {"page": 0},
            {"page_size": 101},
            {"unknown": 1},
            {"filter": "body = x"},
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, shelf, query):
        assert get(shelf, **query).status_code == 422

    def test_says_where_the_caller_stands(self, shelf):
        assert "RateLimit" in get(shelf, q="tea").headers


class TestSuggest:
    def test_offers_titles(self, shelf):
        assert get(shelf, "/suggest", q="asy").json == {
            "items": [
                {
                    "text": "Async guide",
                    "highlight": "<mark>Async</mark> guide",
                    "slug": "async-guide",
                    "language": "en",
                }
            ]
        }

    @pytest.mark.parametrize("typed", ["", " ", "zzz", "!?"])
    def test_may_have_nothing_to_offer(self, shelf, typed):
        assert get(shelf, "/suggest", q=typed).json == {"items": []}


def test_no_request_is_answered_500(shelf, is_long):
    """Quotation marks, operators, NEAR, stars, NUL, ten thousand characters, whatever."""
    shelf.app.extensions["limiter"] = None
    chance = random.Random(11)
    pieces = ["NEAR(", "AND", "OR", "NOT", '"', "'", "*", "^", "(", ")", "[", "]", ":", "-", "\\"]
    pieces += ["\0", "a" * 9_000, "中", "文" * 3_000, "language", "=", "tag", "IN", "TO", "😀", "%"]
    pieces += ["published_at", "2026-01-01", ">", "EXISTS", ",", "{", "}", "--", ";", "\ud800"]
    for _ in range(600 if is_long else 200):
        text = chance.choice(["", " "]).join(chance.choices(pieces, k=chance.randrange(1, 8)))
        name, path = chance.choice([("q", ""), ("q", "/suggest"), ("filter", ""), ("sort", "")])
        raw = quote(text.encode("utf-8", "surrogatepass"))
        answer = shelf.call("GET", f"/search{path}?{name}={raw}")
        assert answer.status_code in {200, 422}, text
