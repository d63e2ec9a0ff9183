"""Reads the declared parameters of a view from the request, and validates them.

A parameter named `path`, `query`, `header`, `form` or `body` and annotated with a pydantic model
is filled from that part of the request. Invalid fields are reported with their locations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, get_args, get_origin

import orjson
from flask_openapi.models.file import FileStorage as OpenAPIFile
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import FileStorage, MultiDict

from strongback.exceptions import BadRequest, FieldError, UnsupportedMediaType, ValidationFailed
from strongback.web.request import Request
from strongback.web.translation import translate

Model = type[BaseModel]
Reader = Callable[[Request], BaseModel]
MAX_ERRORS = 20
"""Invalid fields listed in a response; all of them are counted."""
FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")


class UploadedFile(OpenAPIFile):
    """One uploaded file: the type of a field in a form."""

    @classmethod
    def validate(cls, value: object, *_args: object, **_options: object) -> FileStorage:
        """Refuse a field that was sent several times."""
        if not isinstance(value, FileStorage):
            raise ValueError("Send exactly one file.")  # noqa: TRY004  pydantic takes this one
        return value


def reader_of(location: str, model: Model) -> Reader:
    """Return the function that fills a model from one part of a request.

    Called once for each route, at registration.
    """
    readers = {
        "path": _path_reader,
        "query": _query_reader,
        "header": _header_reader,
        "form": _form_reader,
        "body": _body_reader,
    }
    return readers[location](model)


def read(request: Request, readers: Iterable[tuple[str, Reader]]) -> dict[str, BaseModel]:
    """Fill all declared parameters.

    Raises:
        ValidationFailed: Fields are invalid; the first ones are listed, all are counted.
        BadRequest: The body is not JSON.
        UnsupportedMediaType: The view does not accept the content type of the body.
    """
    values: dict[str, BaseModel] = {}
    errors: list[FieldError] = []
    total = 0
    for location, reader in readers:
        try:
            values[location] = reader(request)
        except ValidationError as error:
            total += error.error_count()
            room = MAX_ERRORS - len(errors)
            errors.extend(_field_errors(error, location, request.locale, room))
    if errors:
        failed = ValidationFailed(errors=errors)
        if total > len(errors):
            failed.extra["errors_total"] = total
        raise failed
    return values


def _path_reader(model: Model) -> Reader:
    return lambda request: model.model_validate(request.view_args or {})


def _query_reader(model: Model) -> Reader:
    many = _list_fields(model)

    def reader(request: Request) -> BaseModel:
        has_any = request.environ.get("QUERY_STRING")
        return model.model_validate(_flatten(request.args, many) if has_any else {})

    return reader


def _header_reader(model: Model) -> Reader:
    names = [
        (name, (field.alias or name).replace("_", "-"))
        for name, field in model.model_fields.items()
    ]

    def reader(request: Request) -> BaseModel:
        found = {name: request.headers.get(header) for name, header in names}
        sent = {name: value for name, value in found.items() if value is not None}
        return model.model_validate(sent)

    return reader


def _form_reader(model: Model) -> Reader:
    many, files = _list_fields(model), file_fields(model)
    # Only multipart can hold files.
    accepted = FORM_TYPES[1:] if files else FORM_TYPES

    def reader(request: Request) -> BaseModel:
        _require_type(request, accepted)
        fields = _flatten(request.form, many)
        for name in files:
            fields.pop(name, None)  # text in place of a file counts as missing
        if request.files:
            fields |= _flatten(request.files, many)
        return model.model_validate(fields)

    return reader


def _body_reader(model: Model) -> Reader:
    def reader(request: Request) -> BaseModel:
        _require_type(request, ("application/json",))
        raw = request.get_data(cache=False)
        try:
            if b"NaN" in raw or b"Infinity" in raw:
                # RFC 8259 has neither; pydantic's parser accepts both, orjson refuses them.
                orjson.loads(raw)
            return model.model_validate_json(raw)
        except orjson.JSONDecodeError as error:
            raise _not_json(str(error)) from None
        except ValidationError as error:
            if error.error_count() == 1:  # the list of errors may be long
                first = error.errors(include_url=False, include_input=False)[0]
                if first["type"] == "json_invalid":
                    raise _not_json(first.get("ctx", {})["error"]) from None
            raise

    return reader


def _require_type(request: Request, accepted: tuple[str, ...]) -> None:
    environ = request.environ
    if environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in {"", "identity"}:
        # RFC 9110, section 15.5.16: an unsupported encoding is 415 with Accept-Encoding.
        raise UnsupportedMediaType(headers={"Accept-Encoding": "identity"})
    if environ.get("CONTENT_TYPE") not in accepted and request.mimetype not in accepted:
        raise UnsupportedMediaType(
            "The Content-Type must be {accepted}.",
            params={"accepted": " / ".join(accepted)},
            headers={"Accept": ", ".join(accepted)},
        )


def _not_json(reason: str) -> BadRequest:
    return BadRequest("The body is not valid JSON: {reason}.", params={"reason": reason})


def _list_fields(model: Model) -> frozenset[str]:
    """Names, as sent, of fields with several values."""
    return _fields(model, lambda kind: kind in {list, tuple, set, frozenset})


def file_fields(model: Model) -> frozenset[str]:
    """Names, as sent, of fields with uploaded files."""
    return _fields(model, lambda kind: isinstance(kind, type) and issubclass(kind, FileStorage))


def _fields(model: Model, is_wanted: Callable[[object], bool]) -> frozenset[str]:
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        for part in (field.annotation, *get_args(field.annotation))
        if is_wanted(get_origin(part) or part)
    )


def _flatten(values: MultiDict[str, Any], many: frozenset[str]) -> dict[str, Any]:
    # A single field that is sent twice stays a list, which is refused as a wrong type.
    return {
        name: found if name in many or len(found) > 1 else found[0]
        for name, found in values.lists()
    }


def _field_errors(
    error: ValidationError, location: str, locale: str, limit: int
) -> list[FieldError]:
    return [
        {
            "field": ".".join([location, *map(_printable, detail["loc"])]),
            "message": _message(detail["type"], detail["msg"], detail.get("ctx", {}), locale),
            "type": detail["type"],
        }
        for detail in error.errors(include_url=False, include_input=False)[:limit]
    ]


def _printable(part: int | str) -> str:
    # The client may send any name: a lone surrogate cannot be written as UTF-8, and a long name is
    # not worth repeating.
    return str(part)[:100].encode("utf-8", "replace").decode()


def _message(kind: str, english: str, context: dict[str, Any], locale: str) -> str:
    if kind == "value_error":
        return translate(english.removeprefix("Value error, "), locale)
    # pydantic's messages are English; the catalogue has templates in other languages by type.
    name = f"pydantic.{kind}"
    template = translate(name, locale)
    return english if template == name else template.format_map(context)
