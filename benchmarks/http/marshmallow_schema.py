"""The marshmallow schemas of APIFlask and flask-smorest, as their manuals write them."""

from __future__ import annotations

from marshmallow import Schema, fields
from marshmallow.validate import Length, Range


class Small(Schema):
    id = fields.Integer()
    name = fields.String()
    active = fields.Boolean()
    score = fields.Float()


class Item(Schema):
    title = fields.String(required=True, validate=Length(3, 100))
    quantity = fields.Integer(required=True, validate=Range(1, 1000))
    price = fields.Float(required=True, validate=Range(0, 1_000_000))
    published = fields.Boolean(required=True)
    tags = fields.List(fields.String(), required=True, validate=Length(max=10))
    day = fields.Date(required=True)


class Article(Schema):
    id = fields.Integer()
    slug = fields.String()
    title = fields.String()
    summary = fields.String()
    tags = fields.List(fields.String())
    language = fields.String()
    author = fields.String()
    version = fields.Integer()
    likes = fields.Integer()
    comments = fields.Integer()
    published_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    updated_at = fields.DateTime()


class Listing(Schema):
    items = fields.List(fields.Nested(Article))
    page = fields.Integer()
    page_size = fields.Integer()
    total = fields.Integer()
