"""APIFlask with marshmallow schemas, its classic form."""

from __future__ import annotations

from typing import Any

from apiflask import APIFlask

from benchmarks.http.data import LISTING, SMALL
from benchmarks.http.marshmallow_schema import Item, Listing, Small


def create_app() -> APIFlask:
    app = APIFlask(__name__, static_folder=None)

    @app.get("/bench/small")
    @app.output(Small)
    def small() -> Any:
        return SMALL

    @app.post("/bench/items")
    @app.input(Item)
    @app.output(Item, status_code=201)
    def create(json_data: dict[str, Any]) -> Any:
        return json_data

    @app.get("/bench/articles")
    @app.output(Listing)
    def articles() -> Any:
        return LISTING

    return app
