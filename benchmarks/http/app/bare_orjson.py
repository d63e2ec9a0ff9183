"""Flask with orjson in place of its JSON, everything else as in `bare`: what tuning alone gives."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Flask, Response, request

from benchmarks.http.app.bare import validated
from benchmarks.http.data import LISTING, SMALL


def create_app() -> Flask:
    app = Flask(__name__, static_folder=None)

    @app.get("/bench/small")
    def small() -> Response:
        return answer(SMALL)

    @app.post("/bench/items")
    def create() -> Response:
        return answer(validated(orjson.loads(request.get_data(cache=False))), 201)

    @app.get("/bench/articles")
    def articles() -> Response:
        # orjson reads the dataclasses by itself; nothing checks that they hold what is promised.
        return answer(LISTING)

    return app


def answer(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, mimetype="application/json")
