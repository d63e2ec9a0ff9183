"""The request and response classes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from functools import cached_property
from tempfile import SpooledTemporaryFile
from time import perf_counter_ns
from typing import IO, TYPE_CHECKING, Any, Self, cast

from flask import Request as FlaskRequest
from flask import Response as FlaskResponse
from flask import current_app
from flask import request as flask_request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.formparser import FormDataParser

from strongback.auth.principal import Principal
from strongback.exceptions import BadRequest
from strongback.schema import Validators
from strongback.web.translation import translations

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

MULTIPART = "multipart/form-data"
MAX_PARTS = 16
"""Parts of a form with files. All of them can be in memory, in every thread at once."""
MAX_TEXT = 128 * 1024
"""Bytes of one text in a form with files."""
HELD = 64 * 1024
"""Bytes of a file that stay in memory; a larger one is written to the disk."""
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


class FormParser(FormDataParser):
    """Werkzeug's, which takes a form that it cannot read for an empty one."""

    def __init__(self, *_: object, **options: Any) -> None:  # noqa: ANN401  Werkzeug's own
        super().__init__(**options)
        self.stream_factory = _open_file

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  Werkzeug's own
        """Read a form; one without boundary or end, or not in UTF-8, is a `BadRequest`."""
        self.silent = mimetype != MULTIPART
        try:
            return super().parse(stream, mimetype, content_length, options)
        except ValueError as error:
            raise BadRequest("The form is broken, incomplete or not in UTF-8.") from error


def _open_file(*_: object, **__: object) -> IO[bytes]:
    return cast("IO[bytes]", SpooledTemporaryFile(HELD, "rb+"))


class Request(FlaskRequest):
    """A request with its id, start time, caller and language."""

    form_data_parser_class = FormParser

    def __init__(
        self, environ: dict[str, Any], *args: Any, **kwargs: Any  # noqa: ANN401  Werkzeug's own
    ) -> None:
        super().__init__(environ, *args, **kwargs)
        self.started_ns = perf_counter_ns()
        self.validators: Validators | None = None
        self.principal: Principal | None = None
        given = environ.get("HTTP_X_REQUEST_ID")
        # It is written to logs and headers, so only harmless characters are accepted.
        self.id = given if given and _SAFE_ID.fullmatch(given) else secrets.token_hex(16)

    @cached_property
    def locale(self) -> str:
        """Language of messages, such as `en` or `zh`."""
        return translations().choose(self.accept_languages)

    @property
    def route(self) -> str:
        """Pattern of the matched route, or `unmatched`."""
        if self.url_rule is not None:
            return self.url_rule.rule
        error, adapter = self.routing_exception, current_app.create_url_adapter(self)
        if adapter and isinstance(error, MethodNotAllowed) and error.valid_methods:
            # The path is that of a route, though not with this method.
            rule, _ = adapter.match(method=next(iter(error.valid_methods)), return_rule=True)
            return rule.rule
        return "unmatched"


class Response(FlaskResponse):
    """A response, JSON by default.

    Werkzeug copies and searches the headers of a response several times. A response of plain data
    (`of_data`) skips that, which halves its cost.
    """

    default_mimetype = "application/json"
    common: Sequence[tuple[str, str]] = ()
    """Headers added at the end, unless the response has its own of the same name."""
    is_data = False
    """Whether the body is bytes, and type and length are the only headers."""
    is_taggable = False
    """Whether the response may get an entity tag."""
    policy: Sequence[tuple[str, str]] | None = None
    """Security headers, if they differ from those of the API."""
    varies = "Authorization"
    """Request headers that a tagged response depends on."""
    tag = ""
    """Entity tag, if the view knows it."""

    @classmethod
    def of_data(cls, body: bytes, content_type: str = default_mimetype) -> Self:
        """A 200 with a body of JSON, or of another type."""
        response = cls(body, 200, content_type=content_type)
        response.is_data = response.is_taggable = True
        return response

    def get_wsgi_response(
        self, environ: WSGIEnvironment
    ) -> tuple[Iterable[bytes], str, list[tuple[str, str]]]:
        """Body, status line and headers for the WSGI server."""
        if self.is_data:
            body = () if environ["REQUEST_METHOD"] == "HEAD" else self.response
            return body, self.status, [*self.headers.to_wsgi_list(), *self.common]  # type: ignore[return-value]  # bytes, as of_data was given
        body, status, headers = super().get_wsgi_response(environ)
        own = {name.lower() for name, _ in headers}
        added = (item for item in self.common if item[0].lower() not in own)
        return body, status, [*headers, *added]


def current_request() -> Request:
    """The current request; `RuntimeError` without one."""
    return flask_request._get_current_object()  # type: ignore[attr-defined,no-any-return]  # flask declares the request itself
