"""Base classes for what comes in and what goes out, and the types that both share."""

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
    """An answer: filled from a mapping, a dataclass or a database row."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class RequestBody(BaseModel):
    """A JSON body. Types are not coerced, and a field that is not declared is refused."""

    model_config = ConfigDict(
        strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class RequestForm(BaseModel):
    """A form, whose values are text until a field's type says otherwise."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class RequestQuery(BaseModel):
    """A query string. A name that is not declared is refused, so that a typo is not ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class RequestPath(BaseModel):
    """The variable parts of a path."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a resource from another (RFC 9110, section 8.8)."""

    etag: str
    """Changes whenever the representation does; no quotes, `W/` or commas in it."""
    modified: datetime
    """The last change, aware."""


class PageQuery(RequestQuery):
    """Which part of a list is wanted: a page by its number, or what follows a cursor."""

    page: Annotated[int, Field(ge=1, le=MAX_ID)] = 1
    """Number of the page, from 1. The last page is the one with the entry 10,000; who wants more
    reads by cursor."""
    page_size: Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)] = 20
    """Entries on a page."""
    cursor: Annotated[str, Field(max_length=512)] | None = None
    """The `next_cursor` of an earlier answer; empty for the first page. Stays fast at any depth
    and skips or repeats nothing while entries are added. Takes the place of `page`."""


ItemT = TypeVar("ItemT")


def _is_none(value: object) -> bool:
    return value is None


def _is_false(value: object) -> bool:
    return value is False


class Page(Schema, Generic[ItemT]):
    """Part of a list. By number it has `page` and `total`; by cursor, `next_cursor`.

    Where several filters leave few of many entries, a part by cursor may have fewer entries than
    were asked for, even none, before the list's end.
    """

    items: list[ItemT]
    """The entries."""
    page: Annotated[int | None, Field(exclude_if=_is_none)] = None
    """Number of this page, from 1."""
    page_size: int
    """Entries asked for; the last page may have fewer."""
    total: Annotated[int | None, Field(exclude_if=_is_none)] = None
    """Entries in the whole list, as far as they are counted: at most 10,000."""
    total_is_bounded: Annotated[bool, Field(exclude_if=_is_false)] = False
    """True where the list has more entries than `total`; absent where that is all."""
    next_cursor: Annotated[str | None, Field(exclude_if=_is_none)] = None
    """Give it back as `cursor` for what follows; absent at the end."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Name a page of `UserOut` `UserPage`: clients generated from the document use it."""
        return f"{params[0].__name__.removesuffix('Out')}Page"


class FieldProblem(Schema):
    """One wrong field of a request."""

    field: str
    """Where it is, location first, such as `body.title`."""
    message: str
    """What is wrong, in the language asked for."""
    type: str
    """What is wrong, for a program."""


class Problem(Schema):
    """The one shape of every error."""

    code: int
    """The HTTP status."""
    error_code: int
    """The number in the error catalogue; stable, unlike the message."""
    message: str
    """What happened, in the language asked for."""
    request_id: str
    """Quote it when asking for help: every log entry of this request carries it."""
    errors: Annotated[list[FieldProblem] | None, Field(exclude_if=_is_none)] = None
    """The wrong fields, where there are any; at most 20."""
    errors_total: Annotated[int | None, Field(exclude_if=_is_none)] = None
    """How many fields are wrong, where not all of them are listed."""
