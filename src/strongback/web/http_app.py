"""A Flask application whose views return data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from flask import Flask
from flask import Request as FlaskRequest
from flask.sansio.blueprints import Blueprint
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask_openapi.blueprint import APIBlueprint as OpenAPIBlueprint
from flask_openapi.openapi import OpenAPI
from pydantic import BaseModel
from werkzeug.datastructures import Headers
from werkzeug.middleware.proxy_fix import ProxyFix

from strongback.auth.permission import Roles, permissions_of
from strongback.collision import Names
from strongback.config import Settings
from strongback.exceptions import ConfigurationError
from strongback.schema import Problem
from strongback.services import Services
from strongback.web import document, error_response
from strongback.web.blueprint import APIBlueprint
from strongback.web.edge import plain_client
from strongback.web.error_response import Converter
from strongback.web.json import OrJSONProvider, dump
from strongback.web.lifecycle import RequestLifecycle
from strongback.web.page import Pages, respond_to_unmatched
from strongback.web.request import Request, Response
from strongback.web.static_files import StaticFiles
from strongback.web.translation import FOLDER, Translations

STATIC = Path(__file__).resolve().parents[1] / "static"
ENTRIES = ("account.js", "copy.js", "docs.js", "sign-in.js", "theme.js")
"""Those of its scripts that pages load and no module imports."""
_HEADERS = (Headers, dict, list, tuple)
_SCALARS = (str, int, float, bool, bytes)


class NoSession(SessionInterface):
    """No cookie sessions: callers are identified by their token."""

    _null = NullSession()

    def open_session(
        self, app: Flask, request: FlaskRequest  # noqa: ARG002  Flask's own
    ) -> SessionMixin:
        """Give every request the same read-only session."""
        return self._null


class HTTPApp(OpenAPI):
    """An application whose views return data and whose errors have one shape.

    Args:
        import_name: The package of the application.
        settings: Settings of the application.
        title: Title of the API.
        version: Version of the API.
        roles: Permissions of each role; None if nobody can sign in.
    """

    request_class = Request
    response_class = Response
    json_provider_class = OrJSONProvider
    session_interface = NoSession()

    def __init__(
        self,
        import_name: str,
        settings: Settings,
        *,
        title: str,
        version: str,
        roles: Roles | None = None,
    ) -> None:
        super().__init__(
            import_name,
            info={"title": title, "version": version},
            security_schemes={},
            validation_error_model=Problem,
            doc_ui=False,
            static_folder=None,
        )
        self.settings = settings
        self.permissions = permissions_of(roles or {})
        self.debug = settings.app_debug
        self.config["SECRET_KEY"] = settings.app_secret_key.get_secret_value()
        self.config["SECRET_KEY_FALLBACKS"] = [*settings.secrets[1:]]
        self.config["MAX_CONTENT_LENGTH"] = settings.web_max_body
        self.url_map.merge_slashes = False  # a doubled slash is 404, not a redirect in HTML
        self.services = Services()
        self.translations = Translations(FOLDER)
        self.title = title
        self.errors = error_response.init_errors(self)
        self.register_error_handler(Exception, respond_to_unmatched)
        self.lifecycle = RequestLifecycle(self, settings)
        self._operations, self._schemas = Names("operation"), Names("schema")
        self._claim_schemas(document.named_types(Problem))
        self._trust_proxies()
        self._serve_static_files()
        self.pages = Pages(title, self.translations, self.static_files, settings.address)
        document.init_document(self, self.pages, settings.address, self.permissions)

    def _trust_proxies(self) -> None:
        if count := self.settings.web_proxies:
            self.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask's docs wrap it
                plain_client(self.wsgi_app), x_for=count, x_proto=count, x_host=count, x_port=count
            )

    def _serve_static_files(self) -> None:
        self.static_files = StaticFiles(self.settings.web_static_dir)
        self.static_files.add("strongback", STATIC, entries=ENTRIES)
        self.static_files.name("centrifuge", "strongback/vendor/centrifuge.js")
        self.provide(self.static_files)
        self.add_template_global(self.static_files.url, "static")
        self.wsgi_app = self.static_files.in_front_of(self.wsgi_app)  # type: ignore[method-assign,assignment]  # the same

    def provide(self, *services: object) -> None:
        """Register services for `inject(Class)`.

        Raises:
            ConfigurationError: A service of this class is registered already.
        """
        self.services.add(*services)

    def register_api(
        self, api: OpenAPIBlueprint, **options: Any  # noqa: ANN401  Flask's own
    ) -> None:
        """Serve the routes of a blueprint, and document them.

        Raises:
            ConfigurationError: A name in the document is another blueprint's.
        """
        if isinstance(api, APIBlueprint):
            self._claim_schemas(api.schemas)
            for view in api.operations:
                self._operations.claim(view.__name__, f"{view.__module__}.{view.__qualname__}")
        super().register_api(api, **options)

    def _claim_schemas(self, kinds: Iterable[type]) -> None:
        for kind in kinds:
            self._schemas.claim(kind.__name__, document.declared_as(kind))

    def register_blueprint(
        self, blueprint: Blueprint, **options: Any  # noqa: ANN401  Flask's own
    ) -> None:
        """Serve the routes of a blueprint.

        Raises:
            ConfigurationError: There is one of this name.
        """
        name = options.get("name", blueprint.name)
        if other := self.blueprints.get(name):
            raise ConfigurationError(
                f"blueprint {name}: {other.import_name} has it, and {blueprint.import_name} claims"
                " it too; rename one, or register it once"
            )
        super().register_blueprint(blueprint, **options)

    def register_error_source(self, kind: type[Exception], converter: Converter) -> None:
        """Respond to exceptions of a library by errors of the API."""
        self.errors[kind] = converter

    def make_response(self, rv: Any) -> Response:  # noqa: ANN401  whatever a view returned
        """Turn the return value of a view into a response.

        Args:
            rv: Data, an exception, None (204), a response, or a tuple of one of these with a
                status, headers, or both.

        Raises:
            TypeError: The type is not supported.
        """
        body, *rest = rv if type(rv) is tuple else (rv,)
        result = self._convert(body)
        response = cast("Response", super().make_response((result, *rest) if rest else result))
        if any(isinstance(each, _HEADERS) and each for each in rest):
            response.is_data = False
            response.is_taggable = "Cache-Control" not in response.headers
        return response

    def _convert(self, body: Any) -> Any:  # noqa: ANN401  the same
        if isinstance(body, Response):
            return body
        if (data := to_json(body)) is not None:
            return Response.of_data(data)
        if body is None:
            response = Response(b"", 204)
            del response.headers["Content-Type"]
            return response
        return error_response.respond(body) if isinstance(body, Exception) else body


def to_json(value: object) -> bytes | None:
    """Write data as JSON; returns None if the value is not data.

    A scalar is wrapped: a bare `"text"` at the top level could never be extended.
    """
    if isinstance(value, BaseModel):
        return value.__pydantic_serializer__.to_json(value, by_alias=True)
    if isinstance(value, dict | list):
        return dump(value)
    if isinstance(value, _SCALARS):
        return dump({"data": value})
    if value is None or isinstance(value, Response | Exception | type):
        return None
    is_data = dataclasses.is_dataclass(value) or hasattr(value, "dict") or hasattr(value, "as_dict")
    return dump(value) if is_data else None
