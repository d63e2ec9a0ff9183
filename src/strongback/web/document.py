"""The OpenAPI 3.1 document at `/openapi.json`, and the page at `/docs` that shows it offline."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import Enum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from flask import current_app, url_for
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel

from strongback.auth.permission import Permission
from strongback.collision import path_of
from strongback.exceptions import CATALOGUE
from strongback.web.error_response import PROBLEM_JSON
from strongback.web.json import dump
from strongback.web.page import PageBlueprint, Pages, render
from strongback.web.request import Response

ASSETS = Path(str(files("flask_openapi_swagger") / "templates" / "swagger"))

# Swagger UI sets styles on elements and draws its icons from data: addresses.
_LOOSENED = {"style-src 'self'": "style-src 'self' 'unsafe-inline'", "img-src": "img-src data:"}


def _header(name: str, description: str) -> dict[str, Any]:
    return {name: {"description": description, "schema": {"type": "string"}}}


_HEADERS = _header("X-Request-ID", "Id of the request: the one sent, if well formed, or a new one.")
_READ_HEADERS = _header("ETag", "Version of the resource, for `If-None-Match` and `If-Match`.")
_LIST_HEADERS = _header(
    "Link", "Links to the first, previous, next and last part of the list (RFC 8288)."
)
_PROBLEM = {
    "description": "An error; all errors have this shape.",
    "headers": _HEADERS,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Problem"}},
        PROBLEM_JSON: {"schema": {"type": "object"}},
    },
}
SECURITY_SCHEME = "oauth2"
TOKEN_ENDPOINT = "sb_auth.issue_token"  # noqa: S105  a name
"""Endpoint of the view that the page's Authorize button signs in by."""
METADATA_ENDPOINT = "sb_metadata.read_oauth_metadata"
_METHODS = ("get", "post", "put", "patch", "delete")


def init_document(
    app: OpenAPI, pages: Pages, address: str, permissions: Collection[Permission]
) -> None:
    """Serve the document and its page.

    By the public address of the server: the `Host` of a request must not decide to whom the page's
    Authorize button sends a password. The permissions are the scopes of tokens.
    """
    app.openapi_version = "3.1.0"
    pages.static_files.add("swagger", ASSETS, has_modules=False)

    @cache
    def written() -> bytes:
        signs_in = TOKEN_ENDPOINT in app.view_functions
        token_url = address + url_for(TOKEN_ENDPOINT) if signs_in else None
        return dump(complete(app.api_doc, token_url, permissions))

    def openapi() -> Response:
        return Response.of_data(written())

    app.add_url_rule("/openapi.json", view_func=openapi)
    app.register_blueprint(_page_blueprint())


def _page_blueprint() -> PageBlueprint:
    pages = PageBlueprint("sb_docs", __name__)

    @pages.get("/docs")
    def docs() -> Response:
        known = METADATA_ENDPOINT in current_app.view_functions
        metadata = url_for(METADATA_ENDPOINT) if known else None
        response = render("strongback/docs.html", metadata=metadata)
        response.policy = [(name, _loosened(value)) for name, value in response.policy or ()]
        return response

    @pages.get("/docs/errors")
    def errors() -> Response:
        known = [kind for _, kind in sorted(CATALOGUE.items())]
        return render("strongback/docs_errors.html", errors=known)

    return pages


def _loosened(policy: str) -> str:
    for strict, loose in _LOOSENED.items():
        policy = policy.replace(strict, loose)
    return policy


def named_types(*annotations: object) -> set[type]:
    """The models and enumerations in annotations, which the document shows by their names."""
    found: set[type] = set()
    waiting = [*annotations]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, type):
            waiting.extend(get_args(each))
        elif issubclass(each, BaseModel | Enum) and each not in found:
            found.add(each)
            waiting.extend(field_types(each))
    return found


def declared_as(kind: type) -> str:
    """Module and name of a class; of a generic model also those of its arguments."""
    generic = getattr(kind, "__pydantic_generic_metadata__", {"origin": None})
    if generic["origin"] is None:
        return path_of(kind)
    arguments = ", ".join(
        declared_as(each) if isinstance(each, type) else str(each) for each in generic["args"]
    )
    return f"{path_of(generic['origin'])}[{arguments}]"


def field_types(kind: type) -> Iterator[object]:
    """The annotations of a model's fields; none of what is no model."""
    if issubclass(kind, BaseModel):
        yield from (field.annotation for field in kind.model_fields.values())


def complete(
    document: dict[str, Any], token_url: str | None, permissions: Collection[Permission]
) -> dict[str, Any]:
    """Add what all operations have in common to the document generated from the routes.

    Without a token endpoint, nobody can sign in.
    """
    components = document["components"]
    components["responses"] = {"Problem": _PROBLEM}
    if token_url is not None:
        scopes = {str(item): item.description for item in permissions}
        flow = {"tokenUrl": token_url, "refreshUrl": token_url, "scopes": scopes}
        components["securitySchemes"] = {
            SECURITY_SCHEME: {
                "type": "oauth2",
                "description": "Sign in with username and password; no client secret is needed.",
                "flows": {"password": flow},
            }
        }
    for path in document["paths"].values():
        for method in _METHODS:
            if operation := path.get(method):
                _complete_forms(operation, components["schemas"])
                _complete_operation(operation, method)
    return document


def _complete_forms(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {})
    form = content.pop("multipart/form-data", None)
    if form is None:
        return
    schema = schemas[form["schema"]["$ref"].rpartition("/")[2]]
    if not any(field.get("format") == "binary" for field in schema["properties"].values()):
        # The plain type first: it is what the page sends, and what OAuth asks for.
        content["application/x-www-form-urlencoded"] = form
    content["multipart/form-data"] = form


def _complete_operation(operation: dict[str, Any], method: str) -> None:
    responses = operation["responses"]
    responses.pop("422", None)  # the generator's own shape, which is not ours
    for response in responses.values():
        response["headers"] = _HEADERS | response.get("headers", {})
    if method == "get" and "200" in responses:
        responses["200"]["headers"] |= _READ_HEADERS
        if any(each["name"] == "page_size" for each in operation.get("parameters", ())):
            responses["200"]["headers"] |= _LIST_HEADERS
        responses["304"] = {"description": "Not modified: the client's copy is current."}
    responses["default"] = {"$ref": "#/components/responses/Problem"}
