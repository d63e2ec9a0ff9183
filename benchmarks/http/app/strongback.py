"""The whole application as it is deployed, with the three routes added on a blueprint."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from app.main import create_app as build
from benchmarks.http import data
from strongback.app import Strongback
from strongback.paging import Window
from strongback.schema import Page, RequestBody, Schema, Timestamp
from strongback.web import APIBlueprint, public


class Small(Schema):
    """A small, fixed answer."""

    id: int
    name: str
    active: bool
    score: float


class Item(RequestBody):
    """What is sent, and sent back."""

    title: Annotated[str, Field(min_length=3, max_length=100)]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[float, Field(ge=0, le=1_000_000)]
    published: bool
    tags: Annotated[list[str], Field(max_length=10)]
    day: date


class Article(Schema):
    """An entry of the list."""

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
    published_at: Timestamp | None
    created_at: Timestamp
    updated_at: Timestamp


def create_app() -> Strongback:
    app = build()
    api = APIBlueprint("bench", __name__, url_prefix="/bench")

    @api.get("/small", responses={200: Small})
    @public
    def read_small() -> data.Small:
        return data.SMALL

    @api.post("/items", responses={201: Item})
    @public
    def create_item(body: Item) -> tuple[Item, int]:
        return body, 201

    @api.get("/articles", responses={200: Page[Article]})
    @public
    def list_bench_articles() -> Window[data.Article]:
        return Window(data.ARTICLES, page_size=50, page=1, total=50)

    app.register_api(api)
    return app
