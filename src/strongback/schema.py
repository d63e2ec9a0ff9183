"""Base classes of requests and responses, and the types that both share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from strongback.text import first_control, first_unseen, is_seen

MAX_PAGE = 100_000
MAX_ID = 2**53 - 1  # what JSON can say exactly (RFC 8259, section 6)
MAX_PAGE_SIZE = 100


def utc(value: datetime) -> datetime:
    """The same instant in UTC; a naive value is taken to be in UTC already."""
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


TO_UTC = AfterValidator(utc)
Timestamp = Annotated[datetime, TO_UTC]
"""An instant, always written in UTC with `Z` (RFC 3339)."""


def _refuse_unseen(value: str) -> str:
    if character := first_unseen(value):
        raise _invisible(character)
    return value


def _refuse_controls(value: str) -> str:
    if character := first_control(value):
        raise _invisible(character)
    if value and not is_seen(value):
        raise _invisible(value[0])
    return value


def _invisible(character: str) -> PydanticCustomError:
    message = "Leave out the character {code}, which nobody sees"
    return PydanticCustomError("invisible_character", message, {"code": f"U+{ord(character):04X}"})


SEEN = AfterValidator(_refuse_unseen)
"""Of texts that stand for themselves, such as slugs, tags and addresses: every character is seen.

These two are the rules of all texts of one line. They are part of the type of a field, so that
requests, front matter and whatever else fills it are held to them alike; what is read back from
the database is not.
"""
PRINTED = AfterValidator(_refuse_controls)
"""Of lines that people read, such as titles: no control characters, and something to be seen."""


class Schema(BaseModel):
    """A response: filled from a mapping, a dataclass or a database row."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class RequestBody(BaseModel):
    """A JSON body. Types are not coerced, and undeclared fields are rejected."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class RequestForm(BaseModel):
    """A form: values are text, converted to the types of the fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class RequestQuery(BaseModel):
    """A query string. Undeclared parameters are rejected, so that a typo is not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class RequestPath(BaseModel):
    """The parameters of a path."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Validators:
    """Validators of a resource's state (RFC 9110, section 8.8)."""

    etag: str
    """Opaque tag, different for each representation; without quotes, `W/` or commas."""
    modified: datetime
    """Time of the last change, timezone-aware."""


class PageQuery(RequestQuery):
    """Part of a list: a page by its number, or what follows a cursor."""

    page: Annotated[int, Field(ge=1, le=MAX_ID)] = 1
    """Page number, starting at 1. Pages end at entry 10,000; use `cursor` to read further."""
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 20
    """Entries per page."""
    cursor: Annotated[str, Field(max_length=512)] | None = None
    """`next_cursor` of the previous response; empty for the first page. Replaces `page`: fast at
    any depth, and stable while entries are added."""


ItemT = TypeVar("ItemT")


def _is_absent(value: object) -> bool:
    return value is None or value is False


class Page(Schema, Generic[ItemT]):
    """Part of a list: with `page` and `total` by page number, with `next_cursor` by cursor.

    With several filters, a part by cursor may have fewer entries than `page_size`, even none,
    before the end of the list. The list ends where `next_cursor` is absent.
    """

    items: list[ItemT]
    """Entries of this part."""
    page: Annotated[int | None, Field(exclude_if=_is_absent)] = None
    """Page number, starting at 1."""
    page_size: int
    """Requested entries per page; the last page may have fewer."""
    total: Annotated[int | None, Field(exclude_if=_is_absent)] = None
    """Number of entries in the list, counted up to 10,000."""
    total_is_bounded: Annotated[bool, Field(exclude_if=_is_absent)] = False
    """True if the list has more than `total` entries; otherwise absent."""
    next_cursor: Annotated[str | None, Field(exclude_if=_is_absent)] = None
    """Value of `cursor` for the next part; absent at the end."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Name a page of `UserOut` `UserPage`: clients generated from the document use it."""
        return f"{params[0].__name__.removesuffix('Out')}Page"


# `Page[UserOut]` inherits the descriptions above. Looked for in a source that it has not got, they
# cost a tenth of a second of each start.
Page.model_config["use_attribute_docstrings"] = False


class FieldProblem(Schema):
    """An invalid field of a request."""

    field: str
    """Location and name of the field, such as `body.title`."""
    message: str
    """Explanation in the requested language."""
    type: str
    """Machine-readable kind of error."""


class Problem(Schema):
    """An error."""

    code: int
    """HTTP status code."""
    error_code: int
    """Number in the error catalogue; stable, unlike the message."""
    message: str
    """Explanation in the requested language."""
    request_id: str
    """Id of the request, also in its log entries; quote it when reporting a problem."""
    errors: Annotated[list[FieldProblem] | None, Field(exclude_if=_is_absent)] = None
    """Invalid fields, at most 20."""
    errors_total: Annotated[int | None, Field(exclude_if=_is_absent)] = None
    """Number of invalid fields; only if not all of them are listed."""
