"""APIBlueprint: declares the routes of a slice, and binds each view to its declarations."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import chain
from typing import Any, cast

from flask import current_app
from flask_openapi.blueprint import APIBlueprint as OpenAPIBlueprint
from flask_openapi.utils import parse_rule
from pydantic import BaseModel

from strongback.auth.principal import Principal
from strongback.paging import Window
from strongback.web.document import SECURITY_SCHEME, field_types, named_types
from strongback.web.guard import Authenticate, Requirement, authorize, requirement_of
from strongback.web.idempotent import PARAMETER, claim_of, is_idempotent, respond_once
from strongback.web.limit import early_limits, spent_early
from strongback.web.linking import link_header
from strongback.web.request import MAX_PARTS, MAX_TEXT, Request, Response, current_request
from strongback.web.row import writer_of
from strongback.web.validation import Reader, file_fields, read, reader_of

View = Callable[..., Any]
_LOCATIONS = ("header", "cookie", "path", "query", "form", "body")


def name_operation(*, name: str, **_: object) -> str:
    """Name an operation after its view; client generators name a method after it."""
    return name


class APIBlueprint(OpenAPIBlueprint):
    """The routes of one slice.

    Args:
        name: Name of the slice. The framework's begin with `sb_`.
        import_name: `__name__` of the module.
        url_prefix: Where the routes begin.
        tag: The routes' tag in the document; the name when left out.
    """

    def __init__(
        self, name: str, import_name: str, *, url_prefix: str, tag: str | None = None
    ) -> None:
        super().__init__(
            name,
            import_name,
            url_prefix=url_prefix,
            abp_tags=[{"name": tag or name}],
            operation_id_callback=name_operation,
        )
        self.operations: list[View] = []
        """The views, which name the operations in the document."""
        self.schemas: set[type] = set()
        """The types that have a name in the document."""

    def _collect_openapi_info(
        self, rule: str, func: Any, **options: Any  # noqa: ANN401  the library's own
    ) -> Any:  # noqa: ANN401  the same
        # flask-openapi uses `func.view`, if set, instead of its own wrapper, which builds JSON
        # schemas on every request and reads forms through json.loads.
        requirement = requirement_of(func)
        summary, _, body = (inspect.getdoc(func) or "").partition("\n")
        if body := body.strip():  # else it is the docstring with <br/> for line ends
            options["summary"] = options.get("summary") or summary
            options["description"] = options.get("description") or body
        if not requirement.is_public:
            options["security"] = [{SECURITY_SCHEME: [str(requirement.permission)]}]
        models = super()._collect_openapi_info(rule, func, **options)
        declared = dict(zip(_LOCATIONS, models, strict=True))
        self.operations.append(func)
        self.schemas |= _schemas_of(declared, options.get("responses") or {})
        readers = [(where, reader_of(where, model)) for where, model in declared.items() if model]
        view = bind(func, requirement, readers, response_model(options.get("responses") or {}))
        form = declared["form"]
        func.view = with_files(view) if form and file_fields(form) else view
        if is_idempotent(func):
            self._document_key(rule, options["method"])
        return models

    def _document_key(self, rule: str, method: str) -> None:
        path = self.paths[parse_rule(rule, url_prefix=self.url_prefix)]
        operation = getattr(path, method.lower())
        operation.parameters = [*(operation.parameters or ()), PARAMETER]


def _schemas_of(declared: Mapping[Any, Any], responses: dict[Any, Any]) -> set[type]:
    # Of the other parameters the document has the fields, and names for types in these.
    bodies = [model for where, model in declared.items() if where in {"form", "body"}]
    fields = [field_types(model) for model in declared.values() if model]
    return named_types(*bodies, *responses.values(), *chain.from_iterable(fields))


def response_model(responses: dict[Any, Any]) -> type[BaseModel] | None:
    """The model of the successful response, if the route declares one."""
    for status, model in responses.items():
        if 200 <= int(status) < 300 and inspect.isclass(model):  # noqa: PLR2004  2xx
            return cast("type[BaseModel]", model)
    return None


def bind(
    view: View,
    requirement: Requirement,
    readers: list[tuple[str, Reader]],
    model: type[BaseModel] | None,
) -> View:
    """Wrap a view: authorize the caller, read the parameters, shape the response."""
    if inspect.iscoroutinefunction(view):
        msg = f"{view.__module__}.{view.__qualname__}: write a plain function; WSGI has threads"
        raise TypeError(msg)
    shape = shaper_of(model)
    takes_principal = "principal" in inspect.signature(view).parameters
    takes_key = is_idempotent(view)
    limits = early_limits(view)

    @functools.wraps(view)
    def bound(**_: object) -> object:
        request = current_request()
        principal = authorize(request, requirement, _authenticate)
        with spent_early(limits, request) if limits else nullcontext():
            return respond(request, principal)

    def respond(request: Request, principal: Principal | None) -> object:
        claim = claim_of(request) if takes_key else None
        values: dict[str, Any] = read(request, readers)
        if takes_principal:
            values["principal"] = principal
        if claim is not None:
            return respond_once(claim, lambda: shape(view(**values)))
        return shape(view(**values))

    return bound


def with_files(view: View) -> View:
    """Allow larger bodies for a view that takes files, and close the files after it."""

    @functools.wraps(view)
    def bound(**arguments: object) -> object:
        request = current_request()
        request.max_content_length = cast("Any", current_app).settings.web_max_upload
        request.max_form_parts, request.max_form_memory_size = MAX_PARTS, MAX_TEXT
        try:
            return view(**arguments)
        finally:
            request.close()  # a large one is a file on the disk

    return bound


def _authenticate(header: str) -> Principal | None:
    authenticate: Authenticate | None = current_app.extensions.get("authenticate")
    return authenticate(header) if authenticate else None


def shaper_of(model: type[BaseModel] | None) -> Callable[[Any], Any]:
    """Return the function that turns a row, a window of rows or a mapping into the response."""
    if model is None:
        return lambda result: result
    validate = model.model_validate
    ready = (model, Response, type(None))
    writer = writer_of(model)

    def shape(result: Any) -> Any:  # noqa: ANN401  whatever the view returned
        if isinstance(result, ready):
            return result
        if isinstance(result, Exception):
            raise result  # to return an error and to raise it are the same to a client
        if type(result) is tuple:
            return (shape(result[0]), *result[1:])
        if isinstance(result, Window):
            links = ("Link", link_header(result))
            body = writer.window(result) if writer else None
            if body is None:
                return validate(result), dict([links])
            response = Response.of_data(body)
            response.common = [links]
            return response
        body = writer.one(result) if writer else None
        return validate(result) if body is None else Response.of_data(body)

    return shape
