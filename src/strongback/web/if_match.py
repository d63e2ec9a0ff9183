"""`If-Match` of writes to versioned resources (RFC 9110, section 13.1.1; RFC 6585, section 3).

@api.patch("/<slug>", responses={200: ArticleOut})
@needs(Permission.ARTICLE_WRITE)
def change_article(path: ArticlePath, header: IfMatch, ...) -> ...:
    article = articles.change(path.slug, ..., header.expected)
    return article, tag_headers(article)
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from werkzeug.http import http_date

from strongback.exceptions import PreconditionRequired
from strongback.precondition import ANY, Expected
from strongback.web.conditional import Resource, tags_of


class IfMatch(BaseModel):
    """Header of a write to a versioned resource: it must name the state that was read."""

    model_config = ConfigDict(use_attribute_docstrings=True, validate_by_name=True)

    if_match: Annotated[str, Field(alias="If-Match", examples=['"12-3-0-0"'])]
    """`ETag` of the state to change, or `*` for any. Another state is 412, a missing header 428."""

    @model_validator(mode="before")
    @classmethod
    def _require(cls, values: Any) -> Any:  # noqa: ANN401  pydantic's signature
        if not values:
            raise PreconditionRequired
        return values

    @property
    def expected(self) -> Expected:
        """The states that the write applies to."""
        return _expected(self.if_match)


class OptionalIfMatch(BaseModel):
    """Header of a write to a resource with one writer: the state may be named."""

    model_config = ConfigDict(use_attribute_docstrings=True, validate_by_name=True)

    if_match: Annotated[str | None, Field(alias="If-Match", examples=['"12-20260101"'])] = None
    """`ETag` of the state to change. Another state is 412."""

    @property
    def expected(self) -> Expected:
        """The states that the write applies to."""
        return ANY if self.if_match is None else _expected(self.if_match)


def _expected(header: str) -> Expected:
    return ANY if header.strip() == "*" else Expected(frozenset(tags_of(header)))


def tag_headers(resource: Resource) -> dict[str, str]:
    """The headers of a response to a write that shows the new state of the resource."""
    known = resource.validators
    return {"ETag": f'"{known.etag}"', "Last-Modified": http_date(known.modified)}
