"""Flask alone, written by a careful person: its own JSON, validation by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import Flask, abort, request
from werkzeug.wrappers import Response

from benchmarks.http.data import LISTING, SMALL, Article

_FIELDS = frozenset({"title", "quantity", "price", "published", "tags", "day"})


def create_app() -> Flask:
    app = Flask(__name__, static_folder=None)

    @app.get("/bench/small")
    def small() -> dict[str, Any]:
        return {
            "id": SMALL.id,
            "name": SMALL.name,
            "active": SMALL.active,
            "score": SMALL.score,
        }

    @app.post("/bench/items")
    def create() -> tuple[dict[str, Any], int]:
        return validated(request.get_json()), 201

    @app.get("/bench/articles")
    def articles() -> dict[str, Any]:
        return {
            "items": [as_dict(article) for article in LISTING.items],
            "page": LISTING.page,
            "page_size": LISTING.page_size,
            "total": LISTING.total,
        }

    return app


def as_dict(article: Article) -> dict[str, Any]:
    """The fields by name: four times as fast as `dataclasses.asdict`."""
    published = article.published_at
    return {
        "id": article.id,
        "slug": article.slug,
        "title": article.title,
        "summary": article.summary,
        "tags": article.tags,
        "language": article.language,
        "author": article.author,
        "version": article.version,
        "likes": article.likes,
        "comments": article.comments,
        "published_at": published.isoformat() if published else None,
        "created_at": article.created_at.isoformat(),
        "updated_at": article.updated_at.isoformat(),
    }


def validated(item: Any) -> dict[str, Any]:
    """Check every field's type and limits by hand; 422 with what is wrong."""
    wrong: dict[str, str] = {}
    if not isinstance(item, dict):
        refuse({"body": "not an object"})
    if item.keys() != _FIELDS:
        refuse(dict.fromkeys(item.keys() ^ _FIELDS, "missing or unknown"))
    title, quantity, price = item["title"], item["quantity"], item["price"]
    tags = item["tags"]
    if not isinstance(title, str) or not 3 <= len(title) <= 100:
        wrong["title"] = "3 to 100 characters"
    if type(quantity) is not int or not 1 <= quantity <= 1000:
        wrong["quantity"] = "a whole number from 1 to 1000"
    if type(price) not in {int, float} or not 0 <= price <= 1_000_000:
        wrong["price"] = "a number from 0 to 1000000"
    if not isinstance(item["published"], bool):
        wrong["published"] = "true or false"
    if (
        not isinstance(tags, list)
        or len(tags) > 10
        or not all(isinstance(tag, str) for tag in tags)
    ):
        wrong["tags"] = "at most 10 texts"
    day = None
    try:
        day = date.fromisoformat(item["day"])
    except (TypeError, ValueError):
        wrong["day"] = "a date"
    if wrong:
        refuse(wrong)
    return {
        "title": title,
        "quantity": quantity,
        "price": float(price),
        "published": item["published"],
        "tags": tags,
        "day": day.isoformat() if day else None,
    }


def refuse(wrong: dict[str, str]) -> None:
    response = Response(repr(wrong), 422)
    abort(response)
