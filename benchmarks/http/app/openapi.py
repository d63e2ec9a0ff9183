"""flask-openapi: models read the request; for the answer it has none, so it is dumped as shown."""

from __future__ import annotations

from typing import Any

from flask_openapi import OpenAPI

from benchmarks.http.data import LISTING, SMALL
from benchmarks.http.schema import Item, Listing, Small


def create_app() -> OpenAPI:
    app = OpenAPI(__name__, static_folder=None)

    @app.get("/bench/small", responses={200: Small})
    def small() -> dict[str, Any]:
        return Small.model_validate(SMALL).model_dump(mode="json")

    @app.post("/bench/items", responses={201: Item})
    def create(body: Item) -> tuple[dict[str, Any], int]:
        return body.model_dump(mode="json"), 201

    @app.get("/bench/articles", responses={200: Listing})
    def articles() -> dict[str, Any]:
        return Listing.model_validate(LISTING).model_dump(mode="json")

    return app
