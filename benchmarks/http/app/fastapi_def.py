"""FastAPI with `def` views, run in its threads: the form that blocking drivers need."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from benchmarks.http.data import LISTING, SMALL
from benchmarks.http.schema import Item, Listing, Small


def create_app() -> FastAPI:
    app = FastAPI()

    @app.get("/bench/small", response_model=Small)
    def small() -> Any:
        return SMALL

    @app.post("/bench/items", response_model=Item, status_code=201)
    def create(body: Item) -> Any:
        return body

    @app.get("/bench/articles", response_model=Listing)
    def articles() -> Any:
        return LISTING

    return app
