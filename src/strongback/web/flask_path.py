"""Flask's way through a request, without the steps that this application leaves empty.

Each step is Flask's own where there is something for it to do; together the empty ones cost as
much as routing does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from flask import Flask
from flask import Request as FlaskRequest
from flask import Response as FlaskResponse
from flask.globals import request_ctx
from flask.signals import request_tearing_down
from werkzeug.routing import MapAdapter


class DirectFlask(Flask):
    """Flask for plain functions: no async views, no subdomains."""

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: Callable[..., Any] | None = None,
        provide_automatic_options: bool | None = None,  # noqa: FBT001  Flask's signature
        **options: Any,  # noqa: ANN401  Flask's signature
    ) -> None:
        """Register a view.

        Raises:
            TypeError: It is a coroutine function, which a WSGI thread would only wait for.
        """
        if view_func is not None and inspect.iscoroutinefunction(view_func):
            msg = f"{view_func.__qualname__}: write a plain function; WSGI gives each a thread"
            raise TypeError(msg)
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function as it is: `add_url_rule` has refused the other kind."""
        return func

    def create_url_adapter(self, request: FlaskRequest | None) -> MapAdapter | None:
        """Bind the routes to a request from what it has read of its environment already."""
        if request is None or self.config["TRUSTED_HOSTS"] or self.config["SERVER_NAME"]:
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map,
            request.host,
            request.root_path or "/",
            "",
            request.scheme,
            request.path,
            request.method,
            request.environ.get("QUERY_STRING", ""),
        )

    def preprocess_request(self) -> Any:  # noqa: ANN401  Flask's own signature
        """Run what is registered to run before a request."""
        if self.before_request_funcs or self.url_value_preprocessors:
            return super().preprocess_request()
        return None

    def process_response(self, response: FlaskResponse) -> FlaskResponse:
        """Run what is registered to run after a request. There is no session to save."""
        once = request_ctx._after_request_functions  # noqa: SLF001  as Flask itself reads it
        if once or self.after_request_funcs:
            return super().process_response(response)
        return response

    def do_teardown_request(self, exc: BaseException | None = None) -> None:
        """Run what is registered to run at the end of a request."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(exc)
