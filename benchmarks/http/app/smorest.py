"""flask-smorest with marshmallow schemas."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_smorest import Api, Blueprint

from benchmarks.http.data import LISTING, SMALL
from benchmarks.http.marshmallow_schema import Item, Listing, Small


def create_app() -> Flask:
    app = Flask(__name__, static_folder=None)
    app.config.update(API_TITLE="benchmark", API_VERSION="1", OPENAPI_VERSION="3.1.0")
    blueprint = Blueprint("bench", __name__, url_prefix="/bench")

    @blueprint.route("/small")
    @blueprint.response(200, Small)
    def small() -> Any:
        return SMALL

    @blueprint.route("/items", methods=["POST"])
    @blueprint.arguments(Item)
    @blueprint.response(201, Item)
    def create(item: dict[str, Any]) -> Any:
        return item

    @blueprint.route("/articles")
    @blueprint.response(200, Listing)
    def articles() -> Any:
        return LISTING

    Api(app).register_blueprint(blueprint)
    return app
