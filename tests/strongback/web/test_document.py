from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import schemathesis
from flask.testing import FlaskClient

from app.core.config import Settings
from app.main import create_app
from strongback.testing import empty
from strongback.web.document import ASSETS
from strongback.web.http_app import HTTPApp
from strongback.web.page import PageBlueprint

VARIABLE = re.compile(r"<(?:[^:>]+:)?([^>]+)>")
UNDOCUMENTED = {
    "/openapi.json",
    "/docs",
    "/docs/errors",
    "/metrics",
    "/api/v1/realtime/centrifugo/subscribe",
}
BODILESS = {"204", "302", "303", "304"}
PAGES = {"account"}
"""Blueprints of what people open in a browser, beside those that say so themselves."""


@pytest.fixture(scope="module")
def small_app(module_settings: Settings) -> Iterator[HTTPApp]:
    """The whole application on SQLite, which no test here changes."""
    app = create_app(module_settings)
    empty(app.database)
    yield app
    app.close()


@pytest.fixture(scope="module")
def client(small_app: HTTPApp) -> FlaskClient:
    return small_app.test_client()


@pytest.fixture(scope="module")
def document(client: FlaskClient) -> Any:
    return client.get("/openapi.json").json


def is_page(app: HTTPApp, endpoint: str) -> bool:
    name = endpoint.rpartition(".")[0]
    return name in PAGES or isinstance(app.blueprints.get(name), PageBlueprint)


def operations(document: Any) -> dict[str, Any]:
    return {
        f"{method} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def resolve(document: Any, node: Any) -> Any:
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


class TestDocument:
    def test_is_valid_openapi_3_1(self, small_app, document):
        assert document["openapi"].startswith("3.1")
        schemathesis.openapi.from_wsgi("/openapi.json", small_app).validate()

    def test_its_schemas_are_valid_json_schema(self, document):
        for name, schema in document["components"]["schemas"].items():
            assert jsonschema_rs.meta.is_valid(schema), name

    def test_its_references_lead_somewhere(self, document):
        assert all(resolve(document, {"$ref": target}) for target in references(document))

    def test_every_route_has_an_operation(self, small_app, document):
        routes = {
            " ".join((method.lower(), VARIABLE.sub(r"{\1}", rule.rule)))
            for rule in small_app.url_map.iter_rules()
            if rule.rule not in UNDOCUMENTED and not is_page(small_app, rule.endpoint)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        assert routes == set(operations(document))

    def test_every_operation_says_what_it_answers(self, document):
        for name, operation in operations(document).items():
            success = [code for code in operation["responses"] if code[0] in "23"]
            assert success, name
            for code in success:
                if code in BODILESS:
                    continue
                content = operation["responses"][code]["content"]
                ((kind, shape),) = content.items()
                if kind == "application/json":
                    assert resolve(document, shape["schema"]).keys() >= {"properties"}, name
                else:  # a file
                    assert shape["schema"]["type"] == "string", name

    def test_every_operation_says_what_an_error_looks_like(self, document):
        for name, operation in operations(document).items():
            response = resolve(document, operation["responses"]["default"])
            problem = resolve(document, response["content"]["application/json"]["schema"])
            assert {"code", "error_code", "message", "request_id"} <= set(problem["required"]), name
            assert "application/problem+json" in response["content"], name

    def test_every_operation_has_a_summary_and_a_name_of_its_own(self, document):
        found = operations(document)
        assert all(operation["summary"] for operation in found.values())
        assert len({operation["operationId"] for operation in found.values()}) == len(found)

    def test_every_field_and_parameter_is_explained(self, document):
        for name, operation in operations(document).items():
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], (name, parameter["name"])
        for name, schema in document["components"]["schemas"].items():
            for field, described in schema.get("properties", {}).items():
                assert {"description", "default", "const"} & set(described), (name, field)

    def test_every_read_may_be_confirmed_as_unchanged(self, document):
        for name, operation in operations(document).items():
            if name.startswith("get /api/") and "303" not in operation["responses"]:
                assert "304" in operation["responses"], name
                assert "ETag" in operation["responses"]["200"]["headers"], name

    def test_an_error_answers_as_it_says(self, client, document):
        schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
        validator = jsonschema_rs.validator_for(schema)
        for path in ("/nowhere", "/api/v1/users?page_size=0", "/api/v1/users/unknown"):
            validator.validate(client.get(path).json)


def test_an_application_in_which_nobody_signs_in_has_a_document(bare):
    document = json.loads(bare.test_client().get("/openapi.json").data)
    assert document["info"] == {"title": "Bare", "version": "1.0"}
    assert document["components"]["securitySchemes"] == {}


class TestPage:
    def test_loads_nothing_from_elsewhere(self, client):
        page = client.get("/docs").text
        addresses = re.findall(r"""(?:src|href)=["']([^"']+)""", page)
        assert len(addresses) >= 4
        assert all(urlsplit(address).netloc == "" for address in addresses)

    def test_its_parts_are_served(self, client):
        page = client.get("/docs").text
        for address in re.findall(r"""(?:src|href)=["'](/static/[^"']+)""", page):
            with client.get(address) as response:
                assert response.status_code == 200, address

    def test_forbids_scripts_of_others_and_in_the_page(self, client):
        policy = client.get("/docs").headers.getlist("Content-Security-Policy")
        assert len(policy) == 1
        assert "default-src 'none'" in policy[0]
        assert re.search(r"script-src 'self' 'sha256-[^']+';", policy[0])

    def test_a_title_cannot_become_markup(self, settings, logs):
        app = HTTPApp("bare", settings, title="<script>alert(1)</script>", version="1")
        assert "<script>alert" not in app.test_client().get("/docs").text

    def test_assets_are_there_without_a_network(self):
        assert (ASSETS / "js" / "swagger-ui-bundle.js").is_file()
