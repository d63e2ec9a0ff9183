"""The pydantic models of the competitors that use pydantic, as their manuals write them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr


class Small(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    active: bool
    score: float


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=3, max_length=100)]
    quantity: Annotated[int, Field(ge=1, le=1000)]
    price: Annotated[float, Field(ge=0, le=1_000_000)]
    published: bool
    tags: Annotated[list[StrictStr], Field(max_length=10)]
    day: date


class Article(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    slug: str
    title: str
    summary: str
    tags: list[str]
    language: str
    author: str
    version: int
    likes: int
    comments: int
    published_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Listing(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    items: list[Article]
    page: int
    page_size: int
    total: int
